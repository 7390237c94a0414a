//! A worker's timer: it ends futures at their deadlines without being set for each of them.
//!
//! Setting and removing a timer costs more than everything else that a deadline needs, and almost no deadline is reached:
//! the next event comes first, and its deadline is later. So the timer stays where it was set. When it fires before the
//! current deadline, it is set again. That happens once per `requestTimeout`, not once per event.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::time::{Instant, Sleep, sleep_until};

/// One timer, used for one deadline after the other.
pub(super) struct DeadlineTimer {
    timer: Option<Pin<Box<Sleep>>>,
}

impl DeadlineTimer {
    pub(super) const fn new() -> Self {
        Self { timer: None }
    }

    /// The future's output; none if the deadline passes first.
    pub(super) fn within<F: Future>(
        &mut self,
        deadline: Instant,
        mut future: Pin<&mut F>,
    ) -> impl Future<Output = Option<F::Output>> {
        poll_fn(move |cx| match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending => self.poll_passed(cx, deadline).map(|()| None),
        })
    }

    fn poll_passed(&mut self, cx: &mut Context<'_>, deadline: Instant) -> Poll<()> {
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if timer.deadline() > deadline {
            timer.as_mut().reset(deadline);
        }
        while timer.as_mut().poll(cx).is_ready() {
            if timer.deadline() == deadline || Instant::now() >= deadline {
                return Poll::Ready(());
            }
            timer.as_mut().reset(deadline);
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::pin::pin;
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_future_that_is_ready_in_time_is_left_alone() {
        let mut alarm = DeadlineTimer::new();
        let deadline = Instant::now() + Duration::from_secs(10);
        assert_eq!(alarm.within(deadline, pin!(tokio::time::sleep(Duration::from_secs(9)))).await, Some(()));
    }

    #[tokio::test(start_paused = true)]
    async fn every_deadline_is_kept_though_the_timer_was_set_for_an_earlier_or_a_later_one() {
        let mut alarm = DeadlineTimer::new();
        let start = Instant::now();
        for seconds in [10, 3, 60, 1] {
            let deadline = Instant::now() + Duration::from_secs(seconds);
            assert_eq!(alarm.within(deadline, pin!(async {})).await, Some(()));
            assert_eq!(alarm.within(deadline, pin!(pending::<()>())).await, None);
        }
        assert_eq!(start.elapsed().as_secs(), 74);
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_that_has_passed_cuts_off_at_once() {
        let start = Instant::now();
        assert_eq!(DeadlineTimer::new().within(start, pin!(pending::<()>())).await, None);
        assert_eq!(start.elapsed(), Duration::ZERO);
    }
}
