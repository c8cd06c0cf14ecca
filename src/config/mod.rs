//! READS: fail2ban's configuration language into settings plus diagnostics.
