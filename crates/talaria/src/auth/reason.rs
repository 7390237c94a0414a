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
    /// The token is for another audience.
    Audience,
    /// The token is from another issuer.
    Issuer,
    /// The token has expired.
    Expired,
    /// The token is not valid yet.
    Early,
    /// The client certificate does not allow this device id.
    Certificate,
    /// The token is valid, but does not allow this request.
    Capability,
    /// They are not accepted either, and too many others from this address were not.
    Throttled,
}

/// Whether credentials that were not accepted may have been a guess.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// They may: they count against their address.
    Guess,
    /// They may, but they do not count, because the key server may be the cause: its outage must not slow services down.
    /// While the address has to wait they are answered like a guess, or the answer would show which key ids exist.
    Unverified,
    /// They were not: there were none, or their signature was right.
    None,
}

/// `auth_failures_total` for one endpoint.
#[derive(Clone, Debug)]
pub struct FailureCounter {
    counter: IntCounterVec,
    endpoint: &'static str,
}

impl Reason {
    /// The label `reason`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Bad => "bad",
            Self::Malformed => "malformed",
            Self::Scheme => "scheme",
            Self::UnknownKey => "unknown_key",
            Self::Signature => "signature",
            Self::Subject => "subject",
            Self::Audience => "audience",
            Self::Issuer => "issuer",
            Self::Expired => "expired",
            Self::Early => "early",
            Self::Certificate => "certificate",
            Self::Capability => "capability",
            Self::Throttled => "throttled",
        }
    }

    /// Whether the client may be guessing credentials.
    #[must_use]
    pub fn doubt(self) -> Doubt {
        match self {
            Self::Bad | Self::Malformed | Self::Signature => Doubt::Guess,
            Self::UnknownKey => Doubt::Unverified,
            Self::Missing
            | Self::Scheme
            | Self::Subject
            | Self::Audience
            | Self::Issuer
            | Self::Expired
            | Self::Early
            | Self::Certificate
            | Self::Capability
            | Self::Throttled => Doubt::None,
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
            TokenError::Audience => Self::Audience,
            TokenError::Issuer => Self::Issuer,
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
