//! Tells the operator when this gateway is not what it should be in its own fleet.

use std::time::Duration;

use talaria_protocol::discovery::Standing;
use tokio::time::Instant;
use tracing::{error, info};

/// How long a gateway that has just registered may be missing before that is an error: a check of Consul takes until it has
/// passed for the first time.
const GRACE: Duration = Duration::from_secs(60);

/// What was last said, and what may have to be said later.
#[derive(Debug, Default)]
pub(super) struct StandingReport {
    said: Option<Standing>,
    has_been_listed: bool,
    /// Since when it is missing without that having been said.
    missing_since: Option<Instant>,
}

impl StandingReport {
    /// Forgets everything: the configuration has changed, or the gateway has left its fleet on purpose.
    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }

    /// When [`look`](Self::look) has to be called again, if nothing happens before.
    pub(super) fn due(&self) -> Option<Instant> {
        self.missing_since.map(|since| since + GRACE)
    }

    /// Logs the standing if it has changed. A gateway that has never been listed gets some time.
    pub(super) fn look(&mut self, standing: Standing, own: &[String], refuses_devices: bool) {
        let is_missing = standing == Standing::Absent;
        self.has_been_listed |= standing == Standing::Listed;
        if is_missing && !self.has_been_listed && self.said.is_none() {
            let since = *self.missing_since.get_or_insert_with(Instant::now);
            if since.elapsed() < GRACE {
                return;
            }
        }
        self.missing_since = None;
        if self.said.as_ref() == Some(&standing) {
            return;
        }
        let follows = if refuses_devices {
            "every device is answered with 410 Gone, and those that are connected are closed"
        } else {
            "every device that is connected is closed when the fleet changes"
        };
        match &standing {
            Standing::Unknown => return,
            Standing::Listed if self.said.is_none() => info!(?own, "this gateway is listed in its fleet"),
            Standing::Listed => info!(?own, "this gateway is listed in its fleet again"),
            Standing::Absent => error!(
                ?own,
                follows,
                "this gateway is not among the instances of its own fleet: check address, port, id and checks of its registration"
            ),
            Standing::HiddenBy(instance) => error!(
                ?own,
                instance,
                follows,
                "another instance with the same host has this gateway's place in the hash: instances need hosts of their own"
            ),
            Standing::Ambiguous(instances) => error!(
                ?own,
                instances,
                "several instances are registered with the URL of this gateway: each of them accepts the same devices, give each an address of its own"
            ),
        }
        self.said = Some(standing);
    }
}
