//! Adds the figures of several gateways: most are sums; what is a part of a limit is that of the gateway that is closest to it.

use super::{Acks, ByName, Config, Devices, Figures, Http, Kafka, Process, Receivers, Share};

impl Figures {
    /// The figures of all gateways together.
    pub(crate) fn of_fleet<'a>(gateways: impl Iterator<Item = &'a Self>) -> Self {
        gateways.cloned().reduce(Self::plus).unwrap_or_default()
    }

    /// Events and records that were lost.
    pub(crate) fn lost(&self) -> Option<f64> {
        sum(self.http.dropped.total(), self.kafka.failed.total())
    }

    fn plus(self, other: Self) -> Self {
        Self {
            devices: self.devices.plus(&other.devices),
            http: self.http.plus(other.http),
            kafka: self.kafka.plus(other.kafka),
            acks: self.acks.plus(other.acks),
            process: self.process.plus(&other.process),
            config: self.config.plus(&other.config),
        }
    }
}

impl Devices {
    fn plus(&self, other: &Self) -> Self {
        Self {
            connected: sum(self.connected, other.connected),
            // Without a limit at one of them there is none for all.
            limit: self.limit.zip(other.limit).map(|(a, b)| if a == 0.0 || b == 0.0 { 0.0 } else { a + b }),
            connects: sum(self.connects, other.connects),
            disconnects: sum(self.disconnects, other.disconnects),
            ends_waiting: sum(self.ends_waiting, other.ends_waiting),
            handshakes_waiting: sum(self.handshakes_waiting, other.handshakes_waiting),
            handshakes_refused: sum(self.handshakes_refused, other.handshakes_refused),
            messages: sum(self.messages, other.messages),
        }
    }
}

impl Http {
    fn plus(mut self, other: Self) -> Self {
        self.latency.add_all(&other.latency);
        Self {
            delivered: sum(self.delivered, other.delivered),
            dropped: self.dropped.plus(other.dropped),
            retries: sum(self.retries, other.retries),
            waiting: sum(self.waiting, other.waiting),
            under_way: sum(self.under_way, other.under_way),
            latency: self.latency,
            receivers: Receivers {
                all: self.receivers.all + other.receivers.all,
                tried: self.receivers.tried + other.receivers.tried,
                open: self.receivers.open + other.receivers.open,
            },
        }
    }
}

impl Kafka {
    fn plus(mut self, other: Self) -> Self {
        self.latency.add_all(&other.latency);
        Self {
            used: self.used + other.used,
            up: self.up + other.up,
            delivered: sum(self.delivered, other.delivered),
            failed: self.failed.plus(other.failed),
            waiting: sum(self.waiting, other.waiting),
            unacknowledged: sum(self.unacknowledged, other.unacknowledged),
            unacknowledged_bytes: sum(self.unacknowledged_bytes, other.unacknowledged_bytes),
            backlog: larger(self.backlog, other.backlog),
            buffer: larger(self.buffer, other.buffer),
            oldest_seconds: larger(self.oldest_seconds, other.oldest_seconds),
            latency: self.latency,
        }
    }
}

impl Acks {
    fn plus(mut self, other: Self) -> Self {
        self.latency.add_all(&other.latency);
        Self {
            written: self.written.plus(other.written),
            unsent: self.unsent.plus(other.unsent),
            outcomes: self.outcomes.plus(other.outcomes),
            latency: self.latency,
        }
    }
}

impl Process {
    fn plus(&self, other: &Self) -> Self {
        let fuller = |a: Share, b: Share| if a.part() >= b.part() { a } else { b };
        Self {
            cpu: sum(self.cpu, other.cpu),
            cores: sum(self.cores, other.cores),
            memory_bytes: sum(self.memory_bytes, other.memory_bytes),
            open_files: sum(self.open_files, other.open_files),
            files: merged(self.files, other.files, fuller),
            started: larger(self.started, other.started),
        }
    }
}

impl Config {
    fn plus(&self, other: &Self) -> Self {
        let widest = |(low, high): (f64, f64), (l, h): (f64, f64)| (low.min(l), high.max(h));
        Self {
            generations: merged(self.generations, other.generations, widest),
            faulty: self.faulty + other.faulty,
            last_fault: larger(self.last_fault, other.last_fault),
            waiting_for_restart: sum(self.waiting_for_restart, other.waiting_for_restart),
            certificate_end: merged(self.certificate_end, other.certificate_end, f64::min),
            gates_closed: self.gates_closed + other.gates_closed,
            draining: self.draining + other.draining,
        }
    }
}

impl ByName {
    fn plus(self, other: Self) -> Self {
        Self(merged(self.0, other.0, |mut all, others| {
            for (name, rate) in others {
                *all.entry(name).or_default() += rate;
            }
            all
        }))
    }
}

fn sum(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    merged(a, b, |a, b| a + b)
}

fn larger(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    merged(a, b, f64::max)
}

/// What is known of the two, merged if both are.
fn merged<T>(a: Option<T>, b: Option<T>, merge: impl FnOnce(T, T) -> T) -> Option<T> {
    match (a, b) {
        (Some(a), Some(b)) => Some(merge(a, b)),
        (a, b) => a.or(b),
    }
}
