//! The program for names. See [`banishd::resolve`].

fn main() -> std::process::ExitCode {
    banishd::resolve::main()
}
