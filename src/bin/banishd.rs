//! The daemon. See [`banishd::daemon`].

fn main() -> std::process::ExitCode {
    banishd::daemon::main()
}
