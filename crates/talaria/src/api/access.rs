//! Which messages may reach which devices: `deviceAccessCheck` (contract §3.9).
//!
//! A check compares a claim of the device's token with a field of the message, or with a value of the configuration.
//! All checks of an [`AccessCheck`] have to hold; the first that does not decides. In the mode `monitor` it is only
//! counted. Paths, operators and fields are compiled when the configuration is read; claims are looked up in the
//! token's JSON for each message that is checked.

mod check;
mod metrics;
mod operand;
mod path;

use http::StatusCode;
use wrp::{DeviceId, MessageRef};

use crate::device::Registry;

pub use check::{Check, Operator, Side};
pub use metrics::AccessMetrics;
pub use operand::{Field, Operand};
pub use path::Path;

/// The configured checks.
#[derive(Clone, Debug)]
pub struct AccessCheck {
    /// What becomes of a message that fails one.
    pub mode: Mode,
    /// At least one.
    pub checks: Vec<Check>,
}

/// What becomes of a message that fails a check (`deviceAccessCheck.type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It is counted and goes on.
    Monitor,
    /// It is refused.
    Enforce,
}

/// What a message's check came to; the label `reason` of `inbound_wrp_messages`.
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
    /// The values are none that the operator can compare.
    Incomplete,
    /// No such device is connected.
    DeviceNotFound,
    /// The message names no device.
    InvalidDestination,
}

impl AccessCheck {
    /// Checks a message to a device. Counted; the refusal is what the request is answered with.
    ///
    /// # Errors
    /// If the message must not go on.
    pub fn authorize(
        &self,
        message: &MessageRef<'_>,
        registry: &Registry,
        metrics: &AccessMetrics,
    ) -> Result<(), Verdict> {
        let verdict = self.verdict(message, registry);
        let is_rejected = verdict.is_rejected(self.mode);
        metrics.count(verdict, is_rejected);
        if is_rejected { Err(verdict) } else { Ok(()) }
    }

    fn verdict(&self, message: &MessageRef<'_>, registry: &Registry) -> Verdict {
        let dest = message.dest.to_str().ok().and_then(|dest| dest.parse::<DeviceId>().ok());
        let Some(id) = dest else { return Verdict::InvalidDestination };
        let Some(device) = registry.get(&id) else { return Verdict::DeviceNotFound };
        let Some(claims) = device.claims() else { return Verdict::MissingDeviceCredential };
        let claims = claims.all();
        for check in &self.checks {
            let verdict = check.verdict(&claims, message);
            if verdict != Verdict::Authorized {
                tracing::debug!(%id, check = &*check.name, verdict = verdict.reason(), "a message fails an access check");
                return verdict;
            }
        }
        Verdict::Authorized
    }
}

impl Mode {
    /// `enforce` or `monitor`.
    #[must_use]
    pub fn from_type(name: &str) -> Option<Mode> {
        match name {
            "enforce" => Some(Mode::Enforce),
            "monitor" => Some(Mode::Monitor),
            _ => None,
        }
    }
}

impl Verdict {
    /// The label `reason`.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Verdict::Authorized => "authorized",
            Verdict::Denied => "denied",
            Verdict::MissingDeviceCredential => "missing_device_cred",
            Verdict::MissingMessageCredential => "missing_wrp_cred",
            Verdict::Incomplete => "incomplete_check",
            Verdict::DeviceNotFound => "device_not_found",
            Verdict::InvalidDestination => "invalid_wrp_dest",
        }
    }

    /// The answer's status; its body is empty (contract §3.9).
    #[must_use]
    pub fn status(self) -> StatusCode {
        match self {
            Verdict::Authorized => StatusCode::OK,
            Verdict::Denied
            | Verdict::MissingDeviceCredential
            | Verdict::MissingMessageCredential
            | Verdict::Incomplete => StatusCode::FORBIDDEN,
            Verdict::DeviceNotFound => StatusCode::NOT_FOUND,
            Verdict::InvalidDestination => StatusCode::BAD_REQUEST,
        }
    }

    /// A message that no device can get is rejected in both modes.
    fn is_rejected(self, mode: Mode) -> bool {
        match self {
            Verdict::Authorized => false,
            Verdict::DeviceNotFound | Verdict::InvalidDestination => true,
            _ => mode == Mode::Enforce,
        }
    }
}
