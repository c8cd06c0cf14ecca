//! The whole daemon on scripted edges.
