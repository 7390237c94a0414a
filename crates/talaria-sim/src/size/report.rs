//! A plan as lines of text, each a name and what there is to say.

use std::fmt::{self, Display};
use std::time::Duration;

use super::costs::Connection;
use super::plan::{Bound, Plan};
use super::units::thousands;

impl Plan {
    /// What the plan says, by name.
    #[must_use]
    pub fn lines(&self) -> Vec<(&'static str, String)> {
        let host = self.inputs.host;
        vec![
            ("fleet", self.fleet()),
            ("at the peak", self.load()),
            ("cores for it", self.work()),
            ("gateways that carry it", self.need()),
            ("gateways", self.gateways()),
            (
                "devices of a gateway",
                format!(
                    "{}, {} without a site and the spare gateways",
                    self.devices_of_a_gateway, self.most_devices_of_a_gateway
                ),
            ),
            (
                "memory of a gateway",
                format!(
                    "{} for these devices, {} of it the kernel's, and {} for queues",
                    self.device_memory,
                    self.kernel_memory(),
                    host.reserved
                ),
            ),
            ("memory of all devices", self.device_memory_in_all.to_string()),
            ("connections to receivers", self.receivers()),
            ("kafka", format!("{} partitions, {} a second at the peak", self.partitions, self.event_bytes)),
            ("after a failure", self.failure()),
            ("after a cut network", self.cut()),
        ]
    }

    fn fleet(&self) -> String {
        let fleet = self.inputs.fleet;
        let connection = match fleet.connection {
            Connection::Plain => "without TLS",
            Connection::Tls => "over TLS",
        };
        format!(
            "{} devices {connection}; a day and device: events {} ({} of them acknowledged), requests {}, connects {}",
            fleet.devices, fleet.events, fleet.acknowledged, fleet.requests, fleet.connects
        )
    }

    fn load(&self) -> String {
        format!(
            "{} events, {} requests, {} connects; always {} pings",
            self.events, self.requests, self.connects, self.pings
        )
    }

    fn work(&self) -> String {
        format!(
            "{}: {} for events, {} for requests, {} for connects and disconnects, {} for pings",
            self.cores(),
            self.event_cores,
            self.request_cores,
            self.connect_cores,
            self.ping_cores
        )
    }

    fn need(&self) -> String {
        let host = self.inputs.host;
        format!(
            "{} (by memory of {} each: {}, by {} open files: {}, by {} cores of which {} are used: {})",
            self.needed_and_why(),
            host.memory,
            self.by_memory,
            host.open_files,
            self.by_open_files,
            host.cores,
            host.used,
            self.by_cores
        )
    }

    /// How many gateways carry the fleet, and what decides it.
    pub(super) fn needed_and_why(&self) -> String {
        self.bound().map_or_else(|| "1".into(), |bound| format!("{}, by their {bound}", self.needed()))
    }

    fn gateways(&self) -> String {
        let sites = self.inputs.sites;
        let cores = self.gateways.get() * self.inputs.host.cores.get();
        format!(
            "{}: at each of {} sites {}, {} of them spare; {} cores in all",
            self.gateways,
            sites.sites,
            self.gateways_of_a_site,
            sites.spare,
            thousands(cores)
        )
    }

    fn receivers(&self) -> String {
        format!(
            "{} of a gateway to each receiver (workerPoolSize), {} in all",
            self.connections_to_a_receiver,
            thousands(self.connections_to_receivers)
        )
    }

    fn failure(&self) -> String {
        let what = if self.inputs.sites.sites.get() > 1 { "a site" } else { "a gateway" };
        let takeover = self.takeover;
        format!("the {} devices of {what} are back after {}", takeover.devices, seconds(takeover.time))
    }

    fn cut(&self) -> String {
        let after_cut = self.after_cut;
        let full = seconds(after_cut.full);
        let time = match self.inputs.fleet.connection {
            Connection::Plain => full,
            Connection::Tls => {
                format!("{}, with full handshakes {full}", seconds(after_cut.resumed))
            }
        };
        format!("the {} devices of a site are back at its gateways after {time}", after_cut.devices)
    }
}

impl Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Memory => "memory",
            Self::OpenFiles => "open files",
            Self::Cores => "cores",
        })
    }
}

/// The lines, one below the other.
impl Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = self.lines();
        let width = lines.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        for (index, (name, text)) in lines.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{name:width$}  {text}")?;
        }
        Ok(())
    }
}

pub(super) fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}
