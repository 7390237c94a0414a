//! The result of a submitted message as a future.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::sync::oneshot;

use crate::delivery::Receipt;
use crate::error::PublishError;
use crate::outcome::Outcome;

/// The result of a message that was [submitted](crate::Publisher::submit): a future for any runtime.
///
/// The message is delivered whether or not this is awaited; dropping it is not an error.
#[derive(Debug)]
pub struct Delivery(oneshot::Receiver<Result<Outcome, PublishError>>);

impl Delivery {
    /// The future, and the receipt that completes it.
    pub(super) fn new() -> (Self, Receipt) {
        let (settled, result) = oneshot::channel();
        // The future may have been dropped.
        (Self(result), Box::new(move |result| drop(settled.send(result))))
    }

    /// Blocks the thread until the result is known. Not for async code, where a runtime panics at it: await instead.
    ///
    /// # Errors
    /// A record of the message was not delivered.
    pub fn wait(self) -> Result<Outcome, PublishError> {
        self.0.blocking_recv().unwrap_or(Err(PublishError::Stopped))
    }
}

impl Future for Delivery {
    type Output = Result<Outcome, PublishError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context).map(|result| result.unwrap_or(Err(PublishError::Stopped)))
    }
}
