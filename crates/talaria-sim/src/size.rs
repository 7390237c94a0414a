//! The calculator: what a fleet of devices takes, in gateways, memory, cores, connections and seconds.
//!
//! It is arithmetic on measured costs ([`Costs`], each with where it was measured, or those of a file: [`Measured`]) and on assumptions
//! about the fleet, all of which are options. It measures nothing, and it does not know what receivers and brokers need for themselves.
//! docs/scaling.md has the derivation, and a table that a test holds equal to what this module prints. Start reading at [`Plan::of`].

mod costs;
mod measured;
mod options;
mod page;
mod plan;
mod report;
#[cfg(test)]
mod tests;
mod units;

pub use costs::{CPU_COSTS, Connection, Costs, CpuCost, MEMORY_COSTS, MemoryCost};
pub use measured::{Measured, MeasuredError};
pub use options::Options;
pub use page::{costs_table, fleets_table};
pub use plan::{Bound, FarEnds, Fleet, Host, Inputs, Plan, PlanError, Return, Sites, Takeover};
pub use units::{Bytes, Cores, Count, Factor, PerDay, PerSecond, Share, UnitError};
