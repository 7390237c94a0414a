//! Which devices may connect and which services may use the REST API (contract §6).
//!
//! - [`DeviceAuth`] checks the tokens of devices, [`ServiceAuth`] the keys and tokens of services.
//! - [`BasicKeys`] are also the [guard](crate::server::Guard) of servers without an authentication of their own.
//! - [`jwt`] checks a token, whose rules are in [`talaria_protocol::token`]; [`keys`] fetches the keys that tokens are
//!   signed with.
//! - [`AuthError`] is what the client receives, [`Reason`] what the metrics show.
//!
//! Start reading at `devices.rs` for a device, at `services.rs` for a request to the API.

pub mod attempts;
pub mod basic;
pub mod capabilities;
mod devices;
mod error;
pub mod header;
pub mod jwt;
pub mod keys;
mod reason;
pub mod services;

pub use basic::{BasicKeys, InvalidKeyError};
pub use devices::{Config as DeviceConfig, DeviceAuth};
pub use error::{AuthError, BEARER_CHALLENGE};
pub use reason::{FailureCounter, Reason};
pub use services::{Caller, ServiceAuth};
