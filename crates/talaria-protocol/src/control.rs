//! The operator's requests (contract §7): the gate, filters and drains.
//!
//! [`Input`] is a request's parameters and body; [`read_gate`], [`FilterRequest`] and [`drain::Order`] are what it asks
//! for. Start reading at [`Input`].
//!
//! Deliberately absent: paths and methods, answers, and carrying out what is asked.

pub mod drain;
mod filter;
mod gate;
mod request;

pub use filter::FilterRequest;
pub use gate::read_gate;
pub use request::{ControlError, Input, Parameters};
