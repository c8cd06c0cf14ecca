//! Who may do what, on a real bus.
