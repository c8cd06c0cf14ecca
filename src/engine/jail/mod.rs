//! Failure to verdict.

pub mod window;
