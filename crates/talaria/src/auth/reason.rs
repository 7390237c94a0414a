//! Why credentials fail, as a metric tells it.

use prometheus::IntCounterVec;

use super::Refusal;
use crate::telemetry::metrics::Metrics;

/// Why credentials were refused; finer than what is told to whoever sent them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// There were none.
    Missing,
    /// Wrong user or password.
    Bad,
    /// They cannot be read, or are no token that could be good.
    Malformed,
    /// Of a scheme that is not taken.
    Scheme,
    /// The token's key is not known, or could not be fetched.
    UnknownKey,
    /// The token's signature is not by its key.
    Signature,
    /// The token has no subject.
    Subject,
    /// The token has expired.
    Expired,
    /// The token is not valid yet.
    Early,
    /// The token is good, but not for this request.
    Capability,
    /// The address has failed too often and has to wait.
    Throttled,
}

/// `auth_failures_total` of one kind of door.
#[derive(Clone, Debug)]
pub struct Failures {
    counter: IntCounterVec,
    endpoint: &'static str,
}

impl Reason {
    /// The label.
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

    /// Whether whoever sent them may be trying to find out what opens. Not one without credentials, nor one whose token
    /// is properly signed, nor one whose key cannot be had: a key server that is down must not shut services out.
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

impl From<&Refusal> for Reason {
    fn from(refusal: &Refusal) -> Self {
        match refusal {
            Refusal::Missing => Self::Missing,
            Refusal::Bad => Self::Bad,
            Refusal::Invalid => Self::Malformed,
            Refusal::UnsupportedScheme(_) => Self::Scheme,
            Refusal::Forbidden => Self::Capability,
            Refusal::TooMany(_) => Self::Throttled,
        }
    }
}

impl Failures {
    /// Registers the counter; `endpoint` is `device`, `api` or the name of a server.
    pub fn register(metrics: &Metrics, endpoint: &'static str) -> Self {
        let counter = metrics.bare().counter_vec(
            "auth_failures_total",
            "Credentials that were refused",
            &["endpoint", "reason"],
        );
        Self { counter, endpoint }
    }

    /// Counts one.
    pub fn count(&self, reason: Reason) {
        self.counter.with_label_values(&[self.endpoint, reason.as_str()]).inc();
    }
}
