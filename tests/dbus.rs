//! Client and service over a socket pair and a real bus.
