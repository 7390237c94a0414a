//! Who may connect and who may use the REST API, and how a refusal is told (contract §6).
//!
//! - [`DeviceAuth`] checks the tokens of devices, [`ServiceAuth`] the keys and tokens of the API's users.
//! - [`jwt`] checks a token, whose rules are [`talaria_protocol::token`]'s; [`keys`] fetches the keys that tokens are
//!   signed with.
//! - [`Refusal`] is what the refused are told, [`Reason`] what the operator is told.

pub mod attempts;
pub mod basic;
pub mod capabilities;
mod devices;
pub mod header;
pub mod jwt;
pub mod keys;
mod reason;
mod refusal;
pub mod services;

pub use basic::{BasicKeys, InvalidKey};
pub use devices::{Config as DeviceConfig, DeviceAuth};
pub use reason::{Failures, Reason};
pub use refusal::Refusal;
pub use services::{Caller, ServiceAuth};

/// What a 401 asks for where tokens are taken.
pub const BEARER_CHALLENGE: &str = "Bearer realm=\"talaria\"";
