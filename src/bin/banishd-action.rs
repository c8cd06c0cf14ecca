//! The program for commands. See [`banishd::action`].

fn main() -> std::process::ExitCode {
    banishd::action::main()
}
