//! When a wait for the client ends.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

/// What a connection waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// The rest of a request's header (`readHeaderTimeout`).
    Header,
    /// The next request (`idleTimeout`).
    NextRequest,
    /// The client to read the response (`writeTimeout`), or some of it (`writeStallTimeout`).
    Reader,
    /// The client to read an error response before its connection is closed.
    ErrorRead,
}

/// The deadline of the current wait. It has no timer until something has to wait.
#[derive(Debug, Default)]
pub(super) struct Deadline(Option<(Wait, Pin<Box<Sleep>>)>);

impl Deadline {
    /// A deadline at a fixed time; none at all without a time.
    pub(super) fn at(wait: Wait, time: Option<Instant>) -> Self {
        Self(time.map(|time| (wait, Box::pin(tokio::time::sleep_until(time)))))
    }

    /// Ready once `timeout` has passed since the first call for this wait. Without a timeout it is never ready.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, wait: Wait, timeout: Option<Duration>) -> Poll<()> {
        let Some(timeout) = timeout else {
            self.clear();
            return Poll::Pending;
        };
        let (current, sleep) = self.0.get_or_insert_with(|| (wait, Box::pin(tokio::time::sleep(timeout))));
        if *current != wait {
            *current = wait;
            sleep.as_mut().reset(Instant::now() + timeout);
        }
        sleep.as_mut().poll(cx)
    }

    pub(super) fn clear(&mut self) {
        self.0 = None;
    }
}
