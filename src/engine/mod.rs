//! DECIDES. Inputs and the time come in, effects go out.

pub mod address;
pub mod time;

pub mod settings;

pub mod protected;
pub mod record;

pub mod filter;
pub mod jail;
pub mod ledger;

pub mod command;
pub mod effect;
pub mod view;
