//! Connected devices: how they get in, what the gateway knows of each, and the one task that each of them is.
//!
//! - [`handshake`] is who may connect; [`Manager`] upgrades the request of a device that may, and runs
//!   the device's session until it ends.
//! - [`Device`] is what the rest of the gateway holds of a connected device: its identity, its statistics, and ways to
//!   send to it and to close it. It owns no socket.
//! - [`Gate`] and [`Filters`] are the operator's say in who may connect.
//! - [`Registry`] finds a device by its id.
//! - [`inbound`] is the way of one message from a device: decoded, checked, stamped. It knows neither sockets nor sinks.
//! - [`session`] is the WebSocket session as a state machine without I/O, and the task that drives it.
//! - [`Wheel`] gives every device its pings and its deadlines with a single task for all.
//!
//! What happens is told to [`Events`]; sinks, queues and acks are none of this module's business.

pub mod attributes;
mod budget;
pub mod claims;
mod config;
pub mod convey;
mod error;
pub mod filters;
mod gate;
mod handle;
pub mod handshake;
mod identity;
pub mod inbound;
mod manager;
mod metrics;
mod outbox;
mod protocol_error;
mod reason;
mod registry;
pub mod session;
mod statistics;
pub mod timestamp;
mod transactions;
mod wheel;

use std::sync::Arc;

use wrp::MessageRef;

pub use claims::Claims;
pub use config::{Config, OutboxLimit, SourceCheck};
pub use convey::{Compliance, Convey};
pub use error::SendError;
pub use filters::Filters;
pub use gate::Gate;
pub use handle::Device;
pub use identity::{Identity, SessionId};
pub use manager::Manager;
pub use metrics::DeviceMetrics;
pub use outbox::Outbox;
pub use protocol_error::ProtocolError;
pub use reason::{CloseReason, Reason};
pub use registry::{ConnectError, Registry};
pub use statistics::Statistics;
pub use wheel::Wheel;

/// What is told of devices. No method may block or wait: they are called from the devices' own tasks.
pub trait Events: Send + Sync {
    /// A device has connected and is registered.
    fn online(&self, device: &Arc<Device>);

    /// A device has gone; told exactly once for every [`online`](Events::online).
    fn offline(&self, device: &Arc<Device>, reason: &CloseReason);

    /// A device sent a message that answers no waiting request. It is decoded, checked and stamped.
    fn message(&self, device: &Arc<Device>, message: &mut MessageRef<'_>);
}
