//! Work on long inputs, away from the threads that serve connections.
//!
//! Most messages are handled where they were read, within microseconds. To copy and encode one of many megabytes takes
//! milliseconds, for which all others on that thread would wait. So [`LongWork`] runs it on a thread of its own, and
//! only a few at once, so that the cores are left to the connections. Who has to wait waits in the order of arrival.
//!
//! The length alone decides, before any work is done: [`LONG`]. What a message below it may cost is bounded by the limits
//! of messages (contract §2.18). Deliberately absent: a bound on the inputs that wait, whose owners have budgets for them.

use std::future::Future;
use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::{JoinError, spawn_blocking};

/// Inputs of this many bytes are long. The worst message takes 6 ns a byte (`fuzz/examples/worst_messages.rs`), so what is
/// shorter takes less than a millisecond.
pub const LONG: usize = 128 * 1024;

/// Runs work on long inputs.
#[derive(Clone, Debug)]
pub struct LongWork {
    permits: Arc<Semaphore>,
}

impl Default for LongWork {
    /// At most half of the cores work at once, and at least one.
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self { permits: Arc::new(Semaphore::new((cores / 2).max(1))) }
    }
}

impl LongWork {
    /// Runs `work` when it has its turn. Once it has begun, it goes on if the future is dropped.
    ///
    /// # Errors
    /// If it panicked.
    pub fn run<T, F>(&self, work: F) -> impl Future<Output = Result<T, JoinError>> + Send + use<T, F>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let permits = Arc::clone(&self.permits);
        async move {
            // The semaphore is never closed.
            let permit = permits.acquire_owned().await.ok();
            let work = move || {
                let _permit = permit;
                work()
            };
            spawn_blocking(work).await
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::mpsc;
    use std::task::Poll;

    use super::*;

    #[tokio::test]
    async fn work_beyond_the_permits_waits_until_others_have_finished() {
        let long_work = LongWork { permits: Arc::new(Semaphore::new(1)) };
        let (finish, finished) = mpsc::channel::<()>();
        let first = tokio::spawn(long_work.run(move || finished.recv().is_ok()));
        let mut second = std::pin::pin!(long_work.run(|| 2));
        tokio::task::yield_now().await;
        let is_waiting = poll_fn(|cx| Poll::Ready(second.as_mut().poll(cx).is_pending())).await;
        assert!(is_waiting);
        assert_eq!(long_work.permits.available_permits(), 0);
        finish.send(()).unwrap();
        assert!(first.await.unwrap().unwrap());
        assert_eq!(second.await.unwrap(), 2);
        assert_eq!(long_work.permits.available_permits(), 1);
    }
}
