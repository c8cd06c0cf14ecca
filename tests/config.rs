//! Configuration trees to settings or diagnostics.
