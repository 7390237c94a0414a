//! Simulated devices, the far ends of a gateway, and measurements that are made with them.
//!
//! - [`fleet`]: thousands of devices, which connect, answer requests and reconnect; [`traffic`] makes them send events.
//! - [`receiver`] and [`kafka`]: the far ends where the gateway's events arrive; [`sink`] and [`tally`] count them.
//! - [`ledger`]: which message was sent when, and at which ends it has arrived.
//! - [`testbed`]: a gateway with all of these around it.
//! - [`bench`](mod@bench): measures what a connect, an idle device, an event and a request cost a gateway.
//! - [`size`]: calculates from such measurements what a fleet takes.
//! - [`attack`]: attacks a gateway while honest devices work, and measures what they notice.
//!
//! The crate does not use the gateway's code. It works with any Talaria-compatible gateway, which it knows only by its addresses
//! and its process id. Start at [`testbed`], or at `cli.rs` for the command line.

pub mod access;
pub mod attack;
pub mod bench;
pub mod fleet;
pub mod kafka;
pub mod latency;
pub mod ledger;
pub mod process;
pub mod progress;
pub mod random;
pub mod receiver;
pub mod run;
pub mod sink;
pub mod size;
pub mod tally;
pub mod testbed;
pub mod tls;
pub mod traffic;
pub mod ws;
