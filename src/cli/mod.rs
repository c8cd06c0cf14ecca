//! ASKS: banishctl, a client of the bus.

/// Runs one command.
#[must_use]
pub fn main() -> std::process::ExitCode {
    std::process::ExitCode::SUCCESS
}
