//! The client. See [`banishd::cli`].

fn main() -> std::process::ExitCode {
    banishd::cli::main()
}
