//! Benchmarks of the main paths.

fn main() {
    divan::main();
}
