//! REMEMBERS: bans, failure windows and the journal position, in one SQLite file.
