//! A load process: simulated devices of one gateway, in a process of their own, since one process may not open files for
//! all devices of a large fleet.
//!
//! The benchmark starts it and gives it orders, each a line of JSON on stdin, and it answers each with a line on stdout
//! (`protocol.rs`). It knows what its devices sent and which acknowledgements they got. What arrived at the receiver and in the
//! topic is counted by the benchmark. Start at `orders.rs`, which is the load process; `loads.rs` is the benchmark's side.

mod loads;
mod orders;
mod protocol;

pub(super) use loads::Loads;
pub use loads::{LoadError, LoadPlace};
pub use orders::serve_stdio;
pub(super) use protocol::{Assignment, Sent};
