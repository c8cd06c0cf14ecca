//! WIRES: the loop that carries inputs to the engine and effects to the edges.

/// Runs the daemon until it is told to stop.
#[must_use]
pub fn main() -> std::process::ExitCode {
    std::process::ExitCode::SUCCESS
}
