//! What operators see of the gateway: metrics, the log and the counters of `/health`.
//!
//! These modules provide the means only. Which metrics exist is declared by the components that count them, each in a
//! struct of handles that it registers when it is built; there is no global registry. Start reading at `metrics`.

pub mod health;
pub(crate) mod keyed_throttle;
pub mod labels;
pub mod log;
pub mod metrics;
mod process;
pub(crate) mod throttle;
