//! The store: commits, crashes, corrupt files.
