//! The gate that a record passes when its schema's id is known.
//!
//! Records that wait for it stay in the waiting room, and all others behind them, so that order is kept.

use std::sync::atomic::Ordering;

use super::Engine;
use crate::config::WhenDown;
use crate::error::PublishError;
use crate::routing::Target;
use crate::schema::{FRAME, Frame};
use crate::waiting::Waiting;

/// Whether a record may go out.
pub(super) enum Gate<T> {
    Open(T),
    /// Later.
    Shut,
    /// The registry will not have it, or nobody is to wait for the registry.
    Never(PublishError),
}

impl Engine {
    /// The frame for a target's values.
    pub(super) fn gate(&self, target: &Target) -> Gate<[u8; FRAME]> {
        let Some((schemas, subject)) = self.schemas.as_ref().zip(target.subject()) else {
            return Gate::Shut;
        };
        match (subject.frame(), subject.rejection()) {
            (Some(frame), _) => Gate::Open(frame),
            (None, Some(error)) => Gate::Never(error),
            (None, None) if schemas.when_down == WhenDown::DeadLetter && subject.is_unanswered() => {
                Gate::Never(PublishError::SchemaUnknown { subject: subject.name.as_ref().into() })
            }
            (None, None) => Gate::Shut,
        }
    }

    /// Completes the value of the record that is next, if that is possible.
    pub(super) fn pass_gate(&self, next: &mut Waiting) -> Gate<()> {
        if next.context.frame != Frame::Open {
            return Gate::Open(());
        }
        let gate = self.gate(&next.record.target);
        match gate {
            Gate::Open(frame) => {
                if let Some(place) = next.record.value.first_chunk_mut() {
                    *place = frame;
                }
                next.context.frame = Frame::Closed;
                if let Some(schemas) = &self.schemas {
                    schemas.counts.framed.fetch_add(1, Ordering::Relaxed);
                }
                Gate::Open(())
            }
            Gate::Shut => Gate::Shut,
            Gate::Never(error) => Gate::Never(error),
        }
    }

    /// The registry has said something about a subject.
    pub(crate) fn subject_decided(&self) {
        self.pump();
    }
}
