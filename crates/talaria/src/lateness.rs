//! How late the tasks of the runtime run: because others have their turns first, or because the machine has too little CPU.
//!
//! Deliberately absent: what follows from it (`cpu_share.rs`, `event/http/limit.rs`).

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// The runtime is late from here on. Its timers are by up to two milliseconds, also while it is idle.
pub(crate) const LATE: Duration = Duration::from_millis(3);

/// Waits for so long. Returns how much later its turn comes.
pub(crate) async fn sleep(time: Duration) -> Duration {
    let due = Instant::now() + time;
    sleep_until(due).await;
    due.elapsed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn another_task_that_computes_makes_a_task_late() {
        const TIME: Duration = Duration::from_millis(2);
        assert!(sleep(TIME).await < LATE);
        let sleeping = tokio::spawn(sleep(TIME));
        tokio::task::yield_now().await;
        tokio::time::advance(5 * TIME).await;
        assert_eq!(sleeping.await.unwrap(), 4 * TIME);
    }
}
