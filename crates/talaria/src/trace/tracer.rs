//! Decides what is recorded, and makes the spans of it.

use std::borrow::Cow;
use std::sync::Arc;

use jiff::Timestamp;
use talaria_protocol::trace_context::{Sampler, Sampling, TraceContext, TraceId, TraceState};

use super::span::{Span, Trace, new_span_id};
use super::span_data::SpanKind;
use super::span_queue::SpanQueue;
use crate::random;

/// Makes spans by the settings of one configuration.
pub(crate) struct Tracer {
    sampler: Sampler,
    queue: Arc<SpanQueue>,
}

/// How something begins in the gateway.
#[derive(Default)]
pub(crate) struct Begun {
    /// The trace that it belongs to; none if it has no context and is not recorded.
    pub(crate) trace: Option<Trace>,
    /// Its span, if it is recorded.
    pub(crate) span: Option<Span>,
}

impl Tracer {
    pub(super) fn new(sampler: Sampler, queue: Arc<SpanQueue>) -> Self {
        Self { sampler, queue }
    }

    /// Something has come into the gateway, now, with this context. A context that is not recorded is passed on as it is, which
    /// leaves others who take part their decision.
    pub(crate) fn begin(
        &self,
        parent: Option<TraceContext>,
        name: impl FnOnce() -> Cow<'static, str>,
        kind: SpanKind,
    ) -> Begun {
        self.begin_at(parent, name, kind, Timestamp::now)
    }

    /// As [`begin`](Self::begin), at a time that is asked for only if a span begins.
    pub(crate) fn begin_at(
        &self,
        parent: Option<TraceContext>,
        name: impl FnOnce() -> Cow<'static, str>,
        kind: SpanKind,
        at: impl FnOnce() -> Timestamp,
    ) -> Begun {
        let (context, parent) = match parent {
            Some(parent) if self.sampler.samples(&parent) => (
                TraceContext { span_id: new_span_id(), sampling: Sampling::Sampled, ..parent },
                Some(parent.span_id),
            ),
            Some(parent) => {
                return Begun { trace: Some(Trace::passed_on(parent)), span: None };
            }
            None => {
                let low = random::number();
                if !self.sampler.samples_new(low) {
                    return Begun::default();
                }
                (root(low), None)
            }
        };
        let span = Span::new(Arc::clone(&self.queue), context, parent, name(), kind, at());
        Begun { trace: span.trace(), span: Some(span) }
    }
}

/// A new trace whose id ends with these bits.
fn root(low: u64) -> TraceContext {
    let high = random::number();
    let id = u128::from(high) << 64 | u128::from(low);
    TraceContext {
        trace_id: TraceId::new(id).unwrap_or(TraceId::ONE),
        span_id: new_span_id(),
        sampling: Sampling::Sampled,
        state: TraceState::default(),
    }
}
