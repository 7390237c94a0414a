//! What the workers of the sink share, and how an event is lost.

use std::time::Duration;

use ::http::StatusCode;

use super::exchange::Client;
use super::job::Job;
use super::metrics::HttpMetrics;
use super::post_error::PostError;
use super::queue::Queue;
use crate::event::finalizer::Verdict;
use crate::event::reason::{DropReason, NO_STATUS};
use crate::telemetry::throttle::Throttle;

/// The queue, the client and the limits of one sink.
pub(super) struct WorkerContext {
    pub(super) queue: Queue,
    pub(super) client: Client,
    pub(super) metrics: HttpMetrics,
    pub(super) retries: u32,
    pub(super) retry_interval: Duration,
    pub(super) client_timeout: Duration,
    pub(super) losses: Throttle,
}

impl WorkerContext {
    /// Counts and logs an event that will not be delivered.
    pub(super) fn lose(&self, mut job: Job, posted: Result<StatusCode, PostError>) {
        let reason = posted.as_ref().map_or_else(PostError::reason, |_| DropReason::Non202);
        self.metrics.message_dropped(job.scheme, posted.as_ref().ok().copied(), reason);
        if let Some(share) = job.share.take() {
            share.finish(Verdict::from(reason));
        }
        if let Some(similar) = self.losses.admit() {
            let (url, attempts) = (&job.target, job.attempts);
            match posted {
                Ok(status) => {
                    tracing::error!(%url, attempts, status = status.as_u16(), %reason, similar, "event lost by http");
                }
                Err(error) => {
                    tracing::error!(%url, attempts, code = NO_STATUS, %reason, %error, similar, "event lost by http");
                }
            }
        }
    }
}
