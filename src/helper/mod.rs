//! ASKED FOR HELP: what the daemon and its two programs say to each other, docs/helpers.md.
//!
//! A connection carries one request and one reply, each one line of JSON of bounded length. Comes in and
//! goes out: plain data. What either side says is untrusted to the other.

pub mod protocol;
pub mod serve;
