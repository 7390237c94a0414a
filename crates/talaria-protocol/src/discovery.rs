//! Service discovery without its connections: which gateway of a fleet a device belongs to (contract §11).
//!
//! [`instance`] reads and prints the URLs of instances, [`Ring`] is the consistent hash over them, and [`Fleet`] decides
//! from what the watches report who has to move.
//!
//! Deliberately absent: where the lists of instances come from, and who closes the devices. Start reading at [`Fleet`].

pub mod consul;
pub mod fleet;
pub mod instance;
mod murmur3;
mod ring;
pub mod zookeeper;

pub use fleet::{Decision, First, Fleet, Standing, Update};
pub use instance::InstanceError;
pub use ring::{DEFAULT_VNODES, MAX_TOKENS, Ring, RingError};
