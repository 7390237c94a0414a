//! The outcome of an access check: its label, its status, and whether the message is rejected.

use http::StatusCode;

/// What happens to a message that fails a check (`deviceAccessCheck.type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It is counted and sent.
    Monitor,
    /// It is rejected.
    Enforce,
}

/// The outcome of a message's checks: the label `reason` of `inbound_wrp_messages`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// All checks hold.
    Authorized,
    /// A check does not hold.
    Denied,
    /// The device's token does not have the claim, or there is no token.
    MissingDeviceCredential,
    /// The message has no such field.
    MissingMessageCredential,
    /// The operator cannot compare these values.
    Incomplete,
    /// No such device is connected.
    DeviceNotFound,
    /// The message's destination is not a device id.
    InvalidDestination,
}

impl Mode {
    /// `enforce` or `monitor`.
    #[must_use]
    pub fn from_type(name: &str) -> Option<Self> {
        match name {
            "enforce" => Some(Self::Enforce),
            "monitor" => Some(Self::Monitor),
            _ => None,
        }
    }
}

impl Verdict {
    /// The label `reason`.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Authorized => "authorized",
            Self::Denied => "denied",
            Self::MissingDeviceCredential => "missing_device_cred",
            Self::MissingMessageCredential => "missing_wrp_cred",
            Self::Incomplete => "incomplete_check",
            Self::DeviceNotFound => "device_not_found",
            Self::InvalidDestination => "invalid_wrp_dest",
        }
    }

    /// The response's status; its body is empty (contract §3.9).
    #[must_use]
    pub fn status(self) -> StatusCode {
        match self {
            Self::Authorized => StatusCode::OK,
            Self::Denied
            | Self::MissingDeviceCredential
            | Self::MissingMessageCredential
            | Self::Incomplete => StatusCode::FORBIDDEN,
            Self::DeviceNotFound => StatusCode::NOT_FOUND,
            Self::InvalidDestination => StatusCode::BAD_REQUEST,
        }
    }

    /// Whether the message is rejected. One that no device can receive is rejected in both modes.
    pub(super) fn is_rejected(self, mode: Mode) -> bool {
        match self {
            Self::Authorized => false,
            Self::DeviceNotFound | Self::InvalidDestination => true,
            _ => mode == Mode::Enforce,
        }
    }
}
