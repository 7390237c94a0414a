//! Why credentials fail, as `auth_failures_total` shows it.

use prometheus::IntCounterVec;
use talaria_protocol::token::{TimeError, TokenError};

use super::error::AuthError;
use crate::telemetry::metrics::Metrics;

/// Why credentials were not accepted, in more detail than the client receives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// There were none.
    Missing,
    /// Wrong user or password.
    Bad,
    /// They are malformed.
    Malformed,
    /// They are of a scheme that is not accepted.
    Scheme,
    /// The token's key is not known, or could not be fetched.
    UnknownKey,
    /// The token's signature does not match its key.
    Signature,
    /// The token has no subject.
    Subject,
    /// The token has expired.
    Expired,
    /// The token is not valid yet.
    Early,
    /// The token is valid, but does not allow this request.
    Capability,
    /// Too many attempts from this address failed; it has to wait.
    Throttled,
}

/// `auth_failures_total` for one endpoint.
#[derive(Clone, Debug)]
pub struct FailureCounter {
    counter: IntCounterVec,
    endpoint: &'static str,
}

impl Reason {
    /// The label `reason`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Bad => "bad",
            Self::Malformed => "malformed",
            Self::Scheme => "scheme",
            Self::UnknownKey => "unknown_key",
            Self::Signature => "signature",
            Self::Subject => "subject",
            Self::Expired => "expired",
            Self::Early => "early",
            Self::Capability => "capability",
            Self::Throttled => "throttled",
        }
    }

    /// Whether the client may be guessing credentials. That is not so without credentials, with a properly signed token, or
    /// if the key could not be fetched: an outage of the key server must not shut services out.
    pub fn is_guess(self) -> bool {
        match self {
            Self::Bad | Self::Malformed | Self::Signature => true,
            Self::Missing
            | Self::Scheme
            | Self::UnknownKey
            | Self::Subject
            | Self::Expired
            | Self::Early
            | Self::Capability
            | Self::Throttled => false,
        }
    }
}

impl From<&AuthError> for Reason {
    fn from(error: &AuthError) -> Self {
        match error {
            AuthError::Missing => Self::Missing,
            AuthError::Bad => Self::Bad,
            AuthError::Invalid => Self::Malformed,
            AuthError::UnsupportedScheme(_) => Self::Scheme,
            AuthError::Forbidden => Self::Capability,
            AuthError::TooMany(_) => Self::Throttled,
        }
    }
}

impl From<&TokenError> for Reason {
    fn from(error: &TokenError) -> Self {
        match error {
            TokenError::Format(_) => Self::Malformed,
            TokenError::Key(_) => Self::UnknownKey,
            TokenError::Signature => Self::Signature,
            TokenError::Subject => Self::Subject,
            TokenError::Time(TimeError::Expired) => Self::Expired,
            TokenError::Time(TimeError::Early | TimeError::FromTheFuture) => Self::Early,
        }
    }
}

impl FailureCounter {
    /// Registers the counter; `endpoint` is `device`, `api` or the name of a server.
    pub fn register(metrics: &Metrics, endpoint: &'static str) -> Self {
        let counter = metrics.bare().counter_vec(
            "auth_failures_total",
            "Credentials that were not accepted",
            &["endpoint", "reason"],
        );
        Self { counter, endpoint }
    }

    /// Counts a failure.
    pub fn count(&self, reason: Reason) {
        self.counter.with_label_values(&[self.endpoint, reason.as_str()]).inc();
    }
}
