//! Why a collector has not taken spans, and whether it may take them later.

use std::io;

use http::StatusCode;

/// Why spans were not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExportError {
    #[error("cannot connect: {0}")]
    Connect(io::Error),
    #[error("no TLS: {0}")]
    Tls(io::Error),
    #[error("the request to the collector failed: {0}")]
    Http(#[from] hyper::Error),
    #[error("the request to the collector cannot be written: {0}")]
    Request(#[from] http::Error),
    #[error("cannot read the headers file: {0}")]
    Headers(io::Error),
    #[error("no answer within tracing.exportTimeout")]
    TimedOut,
    #[error("the answer is too long, or broke off")]
    Body,
    #[error("the answer has the status {0}")]
    Status(StatusCode),
    #[error("the answer has the gRPC status {code}: {message}")]
    Grpc { code: u16, message: String },
    #[error("cannot write: {0}")]
    Write(io::Error),
}

impl ExportError {
    /// Whether the collector has answered.
    pub(crate) fn is_answer(&self) -> bool {
        matches!(self, Self::Status(_) | Self::Grpc { .. })
    }

    /// Whether the same spans may be taken later (the rules of OTLP).
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Self::Status(status) => matches!(status.as_u16(), 429 | 502 | 503 | 504),
            // CANCELLED, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, ABORTED, OUT_OF_RANGE, UNAVAILABLE, DATA_LOSS.
            Self::Grpc { code, .. } => matches!(code, 1 | 4 | 8 | 10 | 11 | 14 | 15),
            Self::Request(_) | Self::Body => false,
            _ => true,
        }
    }
}
