//! Record values under a schema that a registry keeps (the "Confluent wire format", contract §8.13).
//!
//! A message's value is encoded once, with room for the frame in front. The id of the record's subject is written into the
//! frame just before the record is sent. This layer is pure: the ids are asked for by the thread in
//! [`registry`](crate::registry), never while a message is published. Start reading at [`Schemas::encode`] and
//! [`Schemas::frame`].

mod avro;
mod subject;

use std::sync::atomic::{AtomicU64, Ordering};

use wrp::MessageRef;

pub(crate) use subject::{FRAME, Subject, Subjects};

use crate::config::{SchemaFormat, SchemaRegistry, WhenDown};

/// The media type of a WRP message in msgpack.
pub(crate) const MSGPACK: &str = wrp::Format::Msgpack.mime();

/// A schema as it is registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Schema {
    /// The registry's name of the schema's language.
    pub(crate) language: &'static str,
    pub(crate) text: &'static str,
    /// The full name of the record that the schema describes.
    record: &'static str,
    /// The media type of a value under the schema.
    content_type: &'static str,
}

/// How the values of a publisher with a registry are written.
#[derive(Debug)]
pub(crate) struct Schemas {
    format: SchemaFormat,
    pub(crate) schema: Schema,
    pub(crate) when_down: WhenDown,
    pub(crate) subjects: Subjects,
    pub(crate) counts: Counts,
}

/// What is still to be done to a record's value before it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Frame {
    /// Nothing: the value is complete.
    Closed,
    /// The frame has its bytes, but the schema's id is not known yet.
    Open,
    /// A value without a frame is to be sent instead.
    Bare,
}

/// Counters since the publisher was made.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) answers: AtomicU64,
    pub(crate) refusals: AtomicU64,
    pub(crate) failures: AtomicU64,
    pub(crate) framed: AtomicU64,
    pub(crate) raw: AtomicU64,
    pub(crate) held: AtomicU64,
}

/// Counts of requests to the schema registry, and of records by what happened to their values.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SchemaStats {
    /// Requests that the registry answered with an id.
    pub answers: u64,
    /// Requests that the registry rejected: the schema, the user or the subject.
    pub refusals: u64,
    /// Requests without an answer, or answered with an error of the registry's own.
    pub failures: u64,
    /// Records whose value was framed with a schema's id.
    pub framed: u64,
    /// Records that were sent without a frame because the id was not known ([`WhenDown::Raw`]).
    pub raw: u64,
    /// Records that waited for a schema's id ([`WhenDown::Buffer`]).
    pub held: u64,
    /// Subjects whose id is not known now.
    pub unknown_subjects: u64,
}

impl Schema {
    const fn of(format: SchemaFormat) -> Self {
        match format {
            SchemaFormat::Avro => Self {
                language: "AVRO",
                text: include_str!("../schemas/wrp.avsc"),
                record: "xmidt.wrp.Message",
                content_type: "avro/binary",
            },
            SchemaFormat::Json => Self {
                language: "JSON",
                text: include_str!("../schemas/wrp.schema.json"),
                record: "xmidt.wrp.Message",
                content_type: wrp::Format::Json.mime(),
            },
            SchemaFormat::Raw => Self {
                language: "AVRO",
                text: include_str!("../schemas/wrp-raw.avsc"),
                record: "xmidt.wrp.RawMessage",
                content_type: "avro/binary",
            },
        }
    }
}

impl Schemas {
    /// None if no registry is configured.
    pub(crate) fn new(config: &SchemaRegistry) -> Option<Self> {
        let schema = Schema::of(config.format);
        config.is_enabled().then(|| Self {
            format: config.format,
            schema,
            when_down: config.when_down,
            subjects: Subjects::new(config.subjects, schema.record),
            counts: Counts::default(),
        })
    }

    /// The media type of a value without its frame.
    pub(crate) fn content_type(&self) -> &'static str {
        self.schema.content_type
    }

    /// Appends a message's value, with an empty frame in front.
    pub(crate) fn encode(&self, message: &MessageRef<'_>, out: &mut Vec<u8>) {
        out.extend_from_slice(&[0; FRAME]);
        match self.format {
            SchemaFormat::Avro => avro::message(message, out),
            SchemaFormat::Raw => avro::raw_message(message, out),
            SchemaFormat::Json => {
                wrp::json::encode_v5(message, out);
                // The newline that separates the messages of a stream.
                out.pop_if(|last| *last == b'\n');
            }
        }
    }

    /// Writes the id of a subject's schema into a value's frame, if it is known.
    pub(crate) fn frame(&self, subject: Option<&Subject>, value: &mut [u8]) -> Frame {
        match subject.and_then(Subject::frame).zip(value.first_chunk_mut()) {
            Some((frame, place)) => {
                *place = frame;
                self.counts.framed.fetch_add(1, Ordering::Relaxed);
                Frame::Closed
            }
            None if self.when_down == WhenDown::Raw
                && subject.is_none_or(|subject| subject.rejection().is_none()) =>
            {
                self.counts.raw.fetch_add(1, Ordering::Relaxed);
                Frame::Bare
            }
            None => Frame::Open,
        }
    }

    pub(crate) fn stats(&self) -> SchemaStats {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let counts = &self.counts;
        SchemaStats {
            answers: count(&counts.answers),
            refusals: count(&counts.refusals),
            failures: count(&counts.failures),
            framed: count(&counts.framed),
            raw: count(&counts.raw),
            held: count(&counts.held),
            unknown_subjects: self.subjects.unknown().len() as u64,
        }
    }
}
