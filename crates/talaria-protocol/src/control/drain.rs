//! Drains: which devices the operator wants to send elsewhere, and how fast (contract §7.4).
//!
//! An [`Order`] is the request, a [`Selection`] its conditions, and a [`Job`] the order for a given number of connected
//! devices. Carrying out a job is the gateway's task.

mod job;
mod order;
mod selection;

pub use job::Job;
pub use order::{Amount, Order, Pace};
pub use selection::{Connected, Selection};
