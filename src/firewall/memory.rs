//! A firewall in memory: for tests and `--dry-run`. Blocks nothing.
