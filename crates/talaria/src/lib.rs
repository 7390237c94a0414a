//! The XMiDT device gateway: each device holds one WebSocket, its events go to HTTP receivers and to Kafka, and
//! services send it requests over REST.
//!
//! ARCHITECTURE.md has the map of the modules and says where to start reading. The library exists for the binary and
//! the tests; its interface is not stable.

pub mod api;
pub mod api_version;
pub mod auth;
pub mod budget;
pub mod cli;
pub mod client_tls;
pub mod config;
pub mod control;
pub mod cpu_scheduling;
mod cpu_share;
#[cfg(feature = "demo")]
pub mod demo;
pub mod descriptors;
pub mod device;
pub mod discovery;
pub mod event;
pub mod gateway;
mod lateness;
pub mod live;
pub mod long_work;
pub mod observe;
pub mod primary;
pub mod process;
mod random;
pub mod reload;
pub mod server;
pub mod telemetry;
pub mod thread_buffer;
#[cfg(feature = "top")]
pub mod top;
pub mod trace;
mod trust;
mod turn_watch;
