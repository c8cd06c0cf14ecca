//! Scenarios and laws of the engine on a simulated clock.
