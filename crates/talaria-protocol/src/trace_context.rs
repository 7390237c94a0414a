//! W3C Trace Context: which trace a request or a message belongs to, as the headers `traceparent` and `tracestate` say it
//! (<https://www.w3.org/TR/trace-context-1/>).
//!
//! They are headers of HTTP requests, and lines of the field `headers` of WRP messages. A malformed `traceparent` is as good as
//! none; a malformed `tracestate` leaves a context without one.
//!
//! Deliberately absent: random numbers for new ids, and what is recorded of a trace. Start reading at [`TraceContext::read`],
//! then `sampler.rs`.

mod sampler;
mod state;

use std::fmt;
use std::num::{NonZeroU64, NonZeroU128};

pub use sampler::{ParentRule, Ratio, RatioError, Sampler};
pub use state::{MAX_STATE_BYTES, TraceState};

/// The name of the header with the ids.
pub const TRACEPARENT: &str = "traceparent";

/// The name of the header with what tracing systems add to them.
pub const TRACESTATE: &str = "tracestate";

/// The length of a `traceparent` of version 00.
pub const TRACEPARENT_LENGTH: usize = 55;

/// The only flag that is known (`sampled`): the caller may have recorded the trace.
const SAMPLED: u8 = 1;

/// The id of a trace.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceId(NonZeroU128);

/// The id of a span, which is one step of a trace.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SpanId(NonZeroU64);

/// Whether a trace is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sampling {
    /// Those who take part record it.
    Sampled,
    /// It is not.
    NotSampled,
}

/// The place in a trace that something belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// The trace.
    pub trace_id: TraceId,
    /// The step that caused this.
    pub span_id: SpanId,
    /// Whether the trace is recorded.
    pub sampling: Sampling,
    /// What tracing systems have added.
    pub state: TraceState,
}

impl TraceContext {
    /// Reads the values of all headers of the two names, in their order. None if there is no `traceparent`, more than one, or a
    /// malformed one.
    pub fn read<'a>(
        traceparents: impl IntoIterator<Item = &'a [u8]>,
        tracestates: impl IntoIterator<Item = &'a [u8]>,
    ) -> Option<Self> {
        let mut traceparents = traceparents.into_iter();
        let (trace_id, span_id, sampling) = parse(traceparents.next()?)?;
        if traceparents.next().is_some() {
            return None;
        }
        Some(Self { trace_id, span_id, sampling, state: TraceState::read(tracestates) })
    }

    /// Reads the lines `Name: value` of a WRP message. The names are compared without regard to case.
    pub fn of_message<'a>(lines: impl Iterator<Item = &'a [u8]> + Clone) -> Option<Self> {
        Self::read(values(lines.clone(), TRACEPARENT), values(lines, TRACESTATE))
    }

    /// The value of `traceparent`.
    #[must_use]
    pub fn traceparent(&self) -> [u8; TRACEPARENT_LENGTH] {
        let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
        write_hex(&mut text[3..35], &self.trace_id.to_bytes());
        write_hex(&mut text[36..52], &self.span_id.to_bytes());
        if self.sampling == Sampling::Sampled {
            text[54] = b'1';
        }
        text
    }
}

/// Whether a line `Name: value` of a WRP message is one of the two headers.
#[must_use]
pub fn is_trace_line(line: &[u8]) -> bool {
    value(line, TRACEPARENT).is_some() || value(line, TRACESTATE).is_some()
}

impl TraceId {
    /// The smallest id, in place of 0.
    pub const ONE: Self = Self(NonZeroU128::MIN);

    /// None if the number is 0, which is no id.
    #[must_use]
    pub fn new(id: u128) -> Option<Self> {
        NonZeroU128::new(id).map(Self)
    }

    /// The number.
    #[must_use]
    pub fn get(self) -> u128 {
        self.0.get()
    }

    /// The id as it is sent.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 16] {
        self.0.get().to_be_bytes()
    }

    /// The half of it that is random in any case.
    fn low(self) -> u64 {
        let [.., a, b, c, d, e, f, g, h] = self.to_bytes();
        u64::from_be_bytes([a, b, c, d, e, f, g, h])
    }
}

impl SpanId {
    /// The smallest id, in place of 0.
    pub const ONE: Self = Self(NonZeroU64::MIN);

    /// None if the number is 0, which is no id.
    #[must_use]
    pub fn new(id: u64) -> Option<Self> {
        NonZeroU64::new(id).map(Self)
    }

    /// The id as it is sent.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 8] {
        self.0.get().to_be_bytes()
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Reads a `traceparent`. Of a version that is not known yet, the parts of version 00 are read, as the specification asks.
fn parse(text: &[u8]) -> Option<(TraceId, SpanId, Sampling)> {
    let (known, more) = text.split_at_checked(TRACEPARENT_LENGTH)?;
    let version = *hex::<1>(&known[..2])?.first()?;
    let is_separated = [2, 35, 52].iter().all(|at| known[*at] == b'-');
    let is_whole = match version {
        0 => more.is_empty(),
        0xff => false,
        _ => matches!(more.first(), None | Some(b'-')),
    };
    if !is_separated || !is_whole {
        return None;
    }
    let trace_id = TraceId::new(u128::from_be_bytes(hex(&known[3..35])?))?;
    let span_id = SpanId::new(u64::from_be_bytes(hex(&known[36..52])?))?;
    let [flags] = hex(&known[53..])?;
    let sampling = if flags & SAMPLED == 0 { Sampling::NotSampled } else { Sampling::Sampled };
    Some((trace_id, span_id, sampling))
}

/// The bytes of `2 * N` hexadecimal digits, of which the letters are small.
fn hex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let digit = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    (text.len() == 2 * N).then_some(bytes)
}

fn write_hex(text: &mut [u8], bytes: &[u8]) {
    for (pair, byte) in text.chunks_exact_mut(2).zip(bytes) {
        for (digit, number) in pair.iter_mut().zip([byte >> 4, byte & 0xf]) {
            *digit = b"0123456789abcdef"[usize::from(number)];
        }
    }
}

/// The values of the lines of this name.
fn values<'a>(lines: impl Iterator<Item = &'a [u8]>, name: &'static str) -> impl Iterator<Item = &'a [u8]> {
    lines.filter_map(move |line| value(line, name))
}

/// The value of a line, if it has this name.
fn value<'a>(line: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let (start, rest) = line.split_at_checked(name.len())?;
    if !start.eq_ignore_ascii_case(name.as_bytes()) {
        return None;
    }
    rest.trim_ascii_start().strip_prefix(b":").map(<[u8]>::trim_ascii)
}

#[cfg(test)]
mod tests;
