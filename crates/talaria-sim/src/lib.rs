//! Simulated devices, the far ends of a gateway, and a benchmark made of them.
//!
//! - [`fleet`]: devices by the thousand, which connect, answer and reconnect; [`traffic`] has them send events.
//! - [`receiver`] and [`kafka`]: where the gateway's events arrive; [`sink`] and [`tally`] count them.
//! - [`ledger`]: which message was sent and where it has been seen, exactly.
//! - [`bench`](mod@bench): drives a Talaria-compatible gateway and tells what a connect, an idle device, an event and a request
//!   cost it.
//! - [`attack`]: does what a gateway must endure, while a fleet works, and tells what it did to the fleet.
//!
//! Nothing here knows the gateway's code: it is seen from outside, by its addresses and its process id.

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
pub mod tally;
pub mod tls;
pub mod traffic;
pub mod ws;
