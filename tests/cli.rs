//! Output and exit codes of banishctl.
