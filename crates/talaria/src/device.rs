//! Connected devices: what the gateway knows of each of them, and the one task that each of them is.
//!
//! - [`Manager`] registers a device on its connection, runs its session until it ends, and announces both.
//! - [`Device`] is what the rest of the gateway has of a connected device: its identity, its statistics, and ways to
//!   send to it and to close it. It owns no socket.
//! - [`Gate`] and [`Filters`] are the operator's decisions about which devices may connect.
//! - [`Registry`] finds a device by its id.
//! - [`session`] is the task that drives one device's WebSocket session
//!   ([`talaria_protocol::session`] is its state machine) and passes on its messages.
//! - [`Wheel`] gives every device its pings and its deadlines with a single task for all.
//!
//! What happens to devices goes to [`Events`]. Room for acknowledgements is reserved and kept here ([`AckSlot`]), since it ends
//! with the connection. Deliberately absent: HTTP (the checks of a request and its upgrade are in
//! [`primary`](crate::primary)), and sinks, queues and outcomes of events ([`event`](crate::event)).
//!
//! Start reading at [`Manager::admit`] for a connection, at `session/run.rs` for a message.

mod ack_slot;
mod back_pressure;
pub mod clock;
mod config;
mod connected;
mod ends;
mod error;
mod events;
pub mod filters;
mod gate;
mod live;
mod manager;
mod metrics;
mod noisiest;
mod outbox;
mod owner;
mod refusals;
mod registry;
pub mod session;
pub mod session_id;
mod spread;
mod statistics;
mod stop;
mod takeover;
mod transactions;
mod wheel;

pub use ack_slot::AckSlot;
pub use config::{BeyondRate, Config, OutboxLimit, RateLimit};
pub use connected::Device;
pub(crate) use connected::UNKNOWN_PARTNER;
pub use error::SendError;
pub use events::{Dropped, Events};
pub use filters::Filters;
pub use gate::Gate;
pub use manager::{AdmittedDevice, Manager, NotAdmittedError};
pub use metrics::{CountedModel, DeviceMetrics};
pub use noisiest::{Noise, Noisiest};
pub use outbox::Outbox;
pub use outbox::ack_list::{Ack, AckLimits, AckNotSentError, Acknowledged};
pub use owner::Owner;
pub use registry::{RegisterError, Registry};
pub use spread::Spread;
pub use statistics::Statistics;
pub use wheel::Wheel;
