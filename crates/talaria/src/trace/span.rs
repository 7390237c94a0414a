//! One step of a trace, from its beginning to its end, and what is handed on to the next one.

use std::borrow::Cow;
use std::sync::Arc;

use jiff::Timestamp;
use talaria_protocol::trace_context::{SpanId, TraceContext};

use super::semantics::ERROR_TYPE;
use super::span_data::{MAX_ATTRIBUTES, SpanData, SpanKind, Value};
use super::span_queue::SpanQueue;
use crate::random;

/// A span that has begun. It ends when it is dropped.
pub(crate) struct Span {
    /// None only while it is being dropped.
    data: Option<Box<SpanData>>,
    queue: Arc<SpanQueue>,
}

/// The trace that something belongs to, on its way through the gateway.
#[derive(Clone)]
pub(crate) struct Trace {
    context: Arc<TraceContext>,
    /// None if it is only passed on.
    queue: Option<Arc<SpanQueue>>,
}

impl Span {
    pub(super) fn new(
        queue: Arc<SpanQueue>,
        context: TraceContext,
        parent: Option<SpanId>,
        name: Cow<'static, str>,
        kind: SpanKind,
        start: Timestamp,
    ) -> Self {
        let start = nanoseconds(start);
        let attributes = Vec::with_capacity(8);
        let data = SpanData { context, parent, name, kind, start, end: start, attributes, has_failed: false };
        Self { data: Some(Box::new(data)), queue }
    }

    /// The trace, for what this step causes.
    pub(crate) fn trace(&self) -> Option<Trace> {
        let context = self.context()?.clone();
        Some(Trace { context: Arc::new(context), queue: Some(Arc::clone(&self.queue)) })
    }

    /// What is sent to those who continue the trace.
    pub(crate) fn context(&self) -> Option<&TraceContext> {
        self.data.as_ref().map(|data| &data.context)
    }

    pub(crate) fn set_name(&mut self, name: impl Into<Cow<'static, str>>) {
        if let Some(data) = &mut self.data {
            data.name = name.into();
        }
    }

    /// Adds an attribute.
    pub(crate) fn set(&mut self, name: &'static str, value: impl Into<Value>) {
        if let Some(data) = &mut self.data
            && data.attributes.len() < MAX_ATTRIBUTES
        {
            data.attributes.push((name, value.into()));
        }
    }

    /// The step has failed, by an error of this type.
    pub(crate) fn fail(&mut self, error_type: impl Into<Value>) {
        self.set(ERROR_TYPE, error_type);
        if let Some(data) = &mut self.data {
            data.has_failed = true;
        }
    }
}

impl Trace {
    /// One that is not recorded.
    pub(super) fn passed_on(context: TraceContext) -> Self {
        Self { context: Arc::new(context), queue: None }
    }

    /// Where in the trace the step before is.
    pub(crate) fn context(&self) -> &TraceContext {
        &self.context
    }

    /// The same, if the trace is recorded.
    pub(crate) fn recorded(&self) -> Option<Arc<TraceContext>> {
        self.queue.as_ref().map(|_| Arc::clone(&self.context))
    }

    /// The next step, if the trace is recorded.
    pub(crate) fn span(&self, name: impl Into<Cow<'static, str>>, kind: SpanKind) -> Option<Span> {
        let queue = self.queue.as_ref()?;
        let parent = &*self.context;
        let context = TraceContext { span_id: new_span_id(), ..parent.clone() };
        let parent = Some(parent.span_id);
        Some(Span::new(Arc::clone(queue), context, parent, name.into(), kind, Timestamp::now()))
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        if let Some(mut data) = self.data.take() {
            data.end = nanoseconds(Timestamp::now()).max(data.start);
            self.queue.push(*data);
        }
    }
}

fn nanoseconds(time: Timestamp) -> u64 {
    u64::try_from(time.as_nanosecond()).unwrap_or_default()
}

/// The id of a new span.
pub(super) fn new_span_id() -> SpanId {
    SpanId::new(random::number()).unwrap_or(SpanId::ONE)
}
