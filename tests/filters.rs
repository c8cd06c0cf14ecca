//! Every shipped filter against sample records.
