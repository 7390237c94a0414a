//! Why the connection of a device ended.
//!
//! Only the texts and the close codes are here; who closes when is the gateway's decision.

use std::fmt;
use std::sync::Arc;

use crate::ws::CloseCode;

/// Why a device's connection ended: a reason, and the error behind it if there was one.
///
/// Its text, `<error or *no error*>:<reason>`, is the offline event's `reason-for-closure` (contract §2.11).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloseReason {
    error: Option<Arc<str>>,
    reason: Reason,
}

/// The reasons there are, each with its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The device closed, went away, fell silent, or broke the protocol.
    ReadError,
    /// The device could not be written to, or not in time.
    WriteError,
    /// The same device connected again.
    Duplicate,
    /// The token that the device connected with has expired.
    TokenExpired,
    /// No more devices may be connected.
    DeviceLimitReached,
    /// The operator drains this gateway, or it shuts down.
    Drained,
    /// The devices could not be hashed anew.
    RehashError,
    /// The device belongs to another instance now.
    RehashOtherInstance,
    /// Service discovery failed for good.
    ServiceDiscoveryError,
    /// Service discovery stopped.
    ServiceDiscoveryStopped,
    /// Service discovery knows no instance.
    ServiceDiscoveryNoInstances,
    /// No reason was given.
    Unknown,
}

impl Reason {
    /// The text that other programs know the reason by.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ReadError => "readerror",
            Self::WriteError => "write-error",
            Self::Duplicate => "duplicate",
            Self::TokenExpired => "token-expired",
            Self::DeviceLimitReached => "device-limit-reached",
            Self::Drained => "drained",
            Self::RehashError => "rehash-error",
            Self::RehashOtherInstance => "rehash-other-instance",
            Self::ServiceDiscoveryError => "service-discovery-error",
            Self::ServiceDiscoveryStopped => "service-discovery-stopped",
            Self::ServiceDiscoveryNoInstances => "service-discovery-no-instances",
            Self::Unknown => "unknown",
        }
    }

    /// The code of the close frame that a device is sent for this reason.
    #[must_use]
    pub fn close_code(self) -> CloseCode {
        match self {
            Self::Duplicate | Self::TokenExpired => CloseCode::POLICY_VIOLATION,
            Self::DeviceLimitReached => CloseCode::TRY_AGAIN_LATER,
            Self::ReadError | Self::WriteError | Self::Unknown => CloseCode::NORMAL,
            Self::Drained
            | Self::RehashError
            | Self::RehashOtherInstance
            | Self::ServiceDiscoveryError
            | Self::ServiceDiscoveryStopped
            | Self::ServiceDiscoveryNoInstances => CloseCode::GOING_AWAY,
        }
    }
}

impl CloseReason {
    /// A reason with the error behind it.
    #[must_use]
    pub fn with_error(reason: Reason, error: &dyn fmt::Display) -> Self {
        Self { error: Some(error.to_string().into()), reason }
    }

    /// The gateway shuts down: `drained`, with an error that says so.
    #[must_use]
    pub fn shutdown() -> Self {
        Self::with_error(Reason::Drained, &"the gateway is shutting down")
    }

    /// The reason.
    #[must_use]
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// The error behind it.
    #[must_use]
    pub fn error(&self) -> Option<&str> {
        self.error.as_deref()
    }
}

impl From<Reason> for CloseReason {
    fn from(reason: Reason) -> Self {
        Self { error: None, reason }
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.error.as_deref().unwrap_or("*no error*"), self.reason.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_close_reason_reads_as_the_reference_s() {
        assert_eq!(CloseReason::from(Reason::ReadError).to_string(), "*no error*:readerror");
        let failed = CloseReason::with_error(Reason::RehashError, &"There are no instances available");
        assert_eq!(failed.to_string(), "There are no instances available:rehash-error");
    }

    #[test]
    fn a_device_that_is_sent_elsewhere_hears_going_away() {
        assert_eq!(CloseReason::shutdown().reason().close_code(), CloseCode::GOING_AWAY);
        assert_eq!(Reason::RehashOtherInstance.close_code(), CloseCode::GOING_AWAY);
    }
}
