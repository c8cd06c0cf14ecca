//! Verdict to ban.

pub mod ban;
