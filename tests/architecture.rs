//! The import rules, the purity of the engine, the top of every file.
