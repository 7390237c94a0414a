//! What the integration tests share: a gateway with known faults, and waiting with a time limit.

pub(crate) mod test_gateway;

use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

/// The time limit of a step. No step takes that long unless it never ends.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

/// Waits for a future.
///
/// # Panics
/// If it does not complete within [`LIMIT`].
pub(crate) async fn within_limit<T>(future: impl Future<Output = T>) -> T {
    timeout(LIMIT, future).await.expect("the step does not end")
}

/// Checks again and again until `condition` is true.
///
/// # Panics
/// If it is not within [`LIMIT`], with `what` was waited for.
pub(crate) async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + LIMIT;
    let mut ticks = interval(Duration::from_millis(5));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !condition() {
        assert!(Instant::now() < deadline, "not within {LIMIT:?}: {what}");
        ticks.tick().await;
    }
}
