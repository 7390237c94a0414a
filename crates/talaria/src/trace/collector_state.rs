//! What the gateway knows of the collector, and its log line for each change.

use super::collector::ExportError;

/// Whether the collector takes spans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CollectorState {
    /// Nothing was sent yet.
    Unknown,
    /// It takes them.
    Good,
    /// It takes them more slowly than they come, so that some are dropped.
    Slow,
    /// It does not answer, or cannot be reached.
    Unreachable,
    /// It answers that it does not take them.
    Refusing,
}

impl CollectorState {
    /// What a request shows that has ended like this, while so many spans were dropped.
    pub(super) fn after(ended: Result<(), &ExportError>, dropped: u64) -> Self {
        match ended {
            Ok(()) if dropped == 0 => Self::Good,
            Ok(()) => Self::Slow,
            Err(error) if error.is_answer() => Self::Refusing,
            Err(_) => Self::Unreachable,
        }
    }

    /// Takes up what was learned. A change is logged.
    pub(super) fn set(&mut self, next: Self, endpoint: &str, error: Option<&ExportError>) {
        let before = std::mem::replace(self, next);
        if before == next {
            return;
        }
        let error = error.map(tracing::field::display);
        match next {
            Self::Unknown => {}
            Self::Good if before == Self::Unknown => tracing::info!(endpoint, "collector takes spans"),
            Self::Good => tracing::info!(endpoint, "collector takes spans again, none are dropped"),
            Self::Slow => tracing::warn!(
                endpoint,
                "collector takes spans more slowly than they come, some are dropped: see tracing.sampleRatio"
            ),
            Self::Unreachable => tracing::warn!(
                endpoint,
                error,
                "collector cannot be reached or does not answer in time, spans wait and are dropped when the queue is full"
            ),
            Self::Refusing => tracing::warn!(endpoint, error, "collector refuses spans, they are dropped"),
        }
    }
}
