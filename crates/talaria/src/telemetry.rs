//! What the gateway tells of itself: metrics, logs and the counters of `/health`.
//!
//! Nothing here is global: whoever measures holds the handles it was given when it was built.

pub mod health;
pub mod log;
pub mod metrics;
mod process;
pub(crate) mod throttle;
