//! A message's value: encoded once, then completed for each record as its topic requires.

use wrp::MessageRef;

use super::Shared;
use crate::delivery::RecordRef;
use crate::routing::{PlannedRecord, RouteTable};
use crate::schema::{Frame, MSGPACK};
use crate::scratch::Scratch;

impl Shared {
    /// Encodes a message and renders its headers, for all its records.
    pub(super) fn encode(&self, message: &MessageRef<'_>, routes: &RouteTable, scratch: &mut Scratch) {
        match self.engine.schemas() {
            None => message.encode_v5(&mut scratch.value),
            Some(schemas) => schemas.encode(message, &mut scratch.value),
        }
        routes.render_headers(message, &mut scratch.headers);
    }

    /// Passes on one of a message's records, and what its value still lacks.
    pub(super) fn with_record<T>(
        &self,
        message: &MessageRef<'_>,
        planned: &PlannedRecord<'_>,
        scratch: &mut Scratch,
        then: impl FnOnce(RecordRef<'_>, Frame) -> T,
    ) -> T {
        let schemas = self.engine.schemas();
        let frame = schemas
            .map_or(Frame::Closed, |schemas| schemas.frame(planned.target.subject(), &mut scratch.value));
        let (target, key) = (&planned.target, planned.key.as_ref().map(|key| key.as_bytes()));
        let record = RecordRef { target, key, value: &scratch.value, headers: scratch.headers.as_ref() };
        if frame != Frame::Bare {
            return then(record, frame);
        }
        // Only while a registry is down.
        let (mut value, mut headers) = (Vec::new(), record.headers.to_block());
        message.encode_v5(&mut value);
        headers.push("content-type", MSGPACK.as_bytes());
        then(RecordRef { value: &value, headers: headers.as_ref(), ..record }, Frame::Closed)
    }
}
