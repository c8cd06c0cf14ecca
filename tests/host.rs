//! The protected set against a real kernel.
