//! Who may use the REST API, and how a refusal is told (contract §6).
//!
//! Devices' tokens are not checked here yet: that is another credential with the same refusals.

pub mod basic;
mod refusal;

pub use basic::{BasicKeys, InvalidKey};
pub use refusal::Refusal;
