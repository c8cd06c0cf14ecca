//! TALKS: the system bus service and the client half.

pub mod link;
