//! Connected devices: how they get in, what the gateway knows of each, and the one task that each of them is.
//!
//! - [`Manager`] upgrades the request of a device that passed the checks of
//!   [`connect`](talaria_protocol::connect), and runs the device's session until it ends.
//! - [`Device`] is what the rest of the gateway holds of a connected device: its identity, its statistics, and ways to
//!   send to it and to close it. It owns no socket.
//! - [`Gate`] and [`Filters`] are the operator's say in who may connect.
//! - [`Registry`] finds a device by its id.
//! - [`session`] is the task that drives one device's WebSocket session
//!   ([`talaria_protocol::session`] is its state machine) and passes on its messages.
//! - [`Wheel`] gives every device its pings and its deadlines with a single task for all.
//!
//! What happens is told to [`Events`]; sinks, queues and acks are none of this module's business.

mod budget;
pub mod clock;
mod config;
mod error;
pub mod filters;
mod gate;
mod handle;
mod manager;
mod metrics;
mod outbox;
mod registry;
pub mod session;
pub mod session_id;
mod statistics;
mod transactions;
mod wheel;

use std::sync::Arc;

use talaria_protocol::session::CloseReason;
use wrp::MessageRef;

pub use config::{Config, OutboxLimit};
pub use error::SendError;
pub use filters::Filters;
pub use gate::Gate;
pub use handle::Device;
pub use manager::Manager;
pub use metrics::DeviceMetrics;
pub use outbox::Outbox;
pub use registry::{RegisterError, Registry};
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
