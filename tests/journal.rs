//! The reader against a real journald.
