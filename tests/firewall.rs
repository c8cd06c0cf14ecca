//! The firewall backends in a network namespace of their own.
