//! The schema ids that go in front of values, for records that waited for them.
//!
//! A record whose schema has no id yet stays in its lane of the backlog, and the topic's others behind it, so that order is
//! kept. What asks the registry is in `schema/`; here is only what its answers mean for a record.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::backlog::{Framing, Readiness};
use crate::config::WhenDown;
use crate::delivery::{DeliveryContext, RecordRef};
use crate::error::PublishError;
use crate::routing::Target;
use crate::schema::{FRAME, Frame, Schemas};

/// Frames values if a registry is configured.
pub(crate) struct SchemaFraming {
    schemas: Option<Arc<Schemas>>,
}

/// What is known of a target's schema.
enum Id {
    Known([u8; FRAME]),
    NotYet,
    Never(PublishError),
}

impl SchemaFraming {
    pub(super) fn new(schemas: Option<Arc<Schemas>>) -> Self {
        Self { schemas }
    }

    pub(super) fn schemas(&self) -> Option<&Arc<Schemas>> {
        self.schemas.as_ref()
    }

    /// Why a target's values can never be framed, if that is so.
    pub(super) fn never(&self, target: &Target) -> Option<PublishError> {
        match self.id(target) {
            Id::Never(error) => Some(error),
            Id::Known(_) | Id::NotYet => None,
        }
    }

    /// Counts a record that waits for its schema's id.
    pub(super) fn count_waiting(&self) {
        if let Some(schemas) = &self.schemas {
            schemas.counts.held.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A record's value without a frame that is not filled in yet, and the content type that it then needs.
    pub(super) fn unframed<'a>(
        &self,
        record: RecordRef<'a>,
        frame: Frame,
    ) -> (&'a [u8], Option<&'static str>) {
        match &self.schemas {
            Some(schemas) if frame == Frame::Open => {
                (record.value.get(FRAME..).unwrap_or_default(), Some(schemas.content_type()))
            }
            _ => (record.value, None),
        }
    }

    fn id(&self, target: &Target) -> Id {
        let Some((schemas, subject)) = self.schemas.as_ref().zip(target.subject()) else {
            return Id::NotYet;
        };
        match (subject.frame(), subject.rejection()) {
            (Some(frame), _) => Id::Known(frame),
            (None, Some(error)) => Id::Never(error),
            (None, None) if schemas.when_down == WhenDown::DeadLetter && subject.is_unanswered() => {
                Id::Never(PublishError::SchemaUnknown { subject: subject.name.as_ref().into() })
            }
            (None, None) => Id::NotYet,
        }
    }
}

impl Framing for SchemaFraming {
    fn complete(&self, next: &mut DeliveryContext) -> Readiness {
        if next.frame != Frame::Open {
            return Readiness::Ready;
        }
        let frame = match self.id(&next.target) {
            Id::Known(frame) => frame,
            Id::NotYet => return Readiness::NotYet,
            Id::Never(error) => return Readiness::Never(error),
        };
        if let Some(place) = next.record.value_mut().first_chunk_mut() {
            *place = frame;
        }
        next.frame = Frame::Closed;
        if let Some(schemas) = &self.schemas {
            schemas.counts.framed.fetch_add(1, Ordering::Relaxed);
        }
        Readiness::Ready
    }
}
