//! Which messages may be sent to which devices: `deviceAccessCheck` (contract §3.9).
//!
//! A check compares a claim of the device's token with a field of the message or with a value of the configuration. All
//! checks of an [`AccessCheck`] have to hold; the first one that does not decides. In the mode `monitor` it is only
//! counted. Paths, operators and fields are parsed with the configuration; claims are looked up in the token's JSON for
//! each message.

mod check;
mod metrics;
mod operand;
mod path;
mod verdict;

use std::sync::Arc;

use wrp::{DeviceId, MessageRef};

use crate::device::Registry;

pub use check::{Check, Operator, Side};
pub use metrics::AccessMetrics;
pub use operand::Operand;
pub use path::Path;
pub use verdict::{Mode, Verdict};

/// The configured checks.
#[derive(Clone, Debug)]
pub struct AccessCheck {
    /// What happens to a message that fails one.
    pub mode: Mode,
    /// The checks; at least one.
    pub checks: Vec<Check>,
}

/// The configured checks, with the devices whose claims they compare.
#[derive(Debug)]
pub(super) struct AccessControl {
    check: AccessCheck,
    registry: Arc<Registry>,
    metrics: AccessMetrics,
}

impl AccessControl {
    pub(super) fn new(check: AccessCheck, registry: Arc<Registry>, metrics: AccessMetrics) -> Self {
        Self { check, registry, metrics }
    }

    /// Checks a message to a device, and counts the verdict.
    ///
    /// # Errors
    /// The verdict if the message must not be sent.
    pub(super) fn authorize(&self, message: &MessageRef<'_>) -> Result<(), Verdict> {
        let verdict = self.verdict(message);
        let is_rejected = verdict.is_rejected(self.check.mode);
        self.metrics.count(verdict, is_rejected);
        if is_rejected { Err(verdict) } else { Ok(()) }
    }

    fn verdict(&self, message: &MessageRef<'_>) -> Verdict {
        let dest = message.dest.to_str().ok().and_then(|dest| dest.parse::<DeviceId>().ok());
        let Some(id) = dest else { return Verdict::InvalidDestination };
        let Some(device) = self.registry.get(&id) else { return Verdict::DeviceNotFound };
        let Some(claims) = device.claims() else { return Verdict::MissingDeviceCredential };
        let claims = claims.all();
        for check in &self.check.checks {
            let verdict = check.verdict(&claims, message);
            if verdict != Verdict::Authorized {
                tracing::debug!(%id, check = &*check.name, verdict = verdict.reason(), "message failed an access check");
                return verdict;
            }
        }
        Verdict::Authorized
    }
}
