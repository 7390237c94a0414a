//! What is recorded of one step of a trace. It is bounded in bytes, and with it the queue of spans.

use std::borrow::Cow;

use talaria_protocol::trace_context::{SpanId, TraceContext};

/// The longest text of an attribute, in bytes. A longer one is cut, so that the bytes of a span have a bound, and with it those of
/// the queue.
pub(super) const MAX_TEXT: usize = 256;

/// As many attributes a span may have. Further ones are left out.
pub(super) const MAX_ATTRIBUTES: usize = 24;

/// What a step does, by the numbers of OTLP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum SpanKind {
    /// It answers a request.
    Server = 2,
    /// It makes a request.
    Client = 3,
    /// It sends a message.
    Producer = 4,
    /// It takes a message.
    Consumer = 5,
}

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Text(Cow<'static, str>),
    Number(i64),
}

/// What is recorded of a span.
#[derive(Debug)]
pub(super) struct SpanData {
    pub(super) context: TraceContext,
    pub(super) parent: Option<SpanId>,
    pub(super) name: Cow<'static, str>,
    pub(super) kind: SpanKind,
    /// Nanoseconds since 1970.
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) attributes: Vec<(&'static str, Value)>,
    pub(super) has_failed: bool,
}

impl From<&'static str> for Value {
    fn from(text: &'static str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        if text.len() <= MAX_TEXT {
            return Self::Text(Cow::Owned(text));
        }
        // Copied, because the rest of a cut text would stay allocated.
        let end = text.floor_char_boundary(MAX_TEXT);
        Self::Text(Cow::Owned(text.get(..end).unwrap_or_default().to_owned()))
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<usize> for Value {
    fn from(number: usize) -> Self {
        Self::Number(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_between_two_characters_and_takes_no_more_memory() {
        let Value::Text(Cow::Owned(text)) = Value::from(format!("a{}", "é".repeat(10_000))) else {
            panic!("a text")
        };
        assert_eq!((text.len(), text.capacity() < 2 * MAX_TEXT), (255, true));
        assert_eq!(Value::from("x".repeat(MAX_TEXT)), Value::Text("x".repeat(MAX_TEXT).into()));
    }
}
