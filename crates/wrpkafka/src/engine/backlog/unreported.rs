//! What calls of the backlog leave to their callers, which report it with no lock held.

use super::queue::Waiting;
use crate::error::PublishError;
use crate::listener::TopicChange;

/// A record that will not be delivered, with the reason.
pub(crate) type Failed = (Waiting, PublishError);

/// What a call leaves to its caller to report.
#[derive(Debug, Default)]
pub(crate) struct Unreported {
    pub(crate) failed: Vec<Failed>,
    pub(crate) changes: Vec<TopicChange>,
}
