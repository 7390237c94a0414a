//! The figures of one gateway, from two of its pages.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Acks, ByName, Config, Devices, Figures, Http, Kafka, Process, Receivers, Share};
use crate::exposition::Labels;
use crate::family::Family;
use crate::quantile::Buckets;
use crate::reading::Reading;

impl Figures {
    /// The figures of a reading. Rates need an earlier one and the time that has passed since.
    pub(crate) fn of(now: &Reading, earlier: Option<(&Reading, Duration)>) -> Self {
        let rates = Rates { now, earlier: earlier.filter(|(_, passed)| !passed.is_zero()) };
        Self {
            devices: devices(now, &rates),
            http: http(now, &rates),
            kafka: kafka(now, &rates),
            acks: acks(&rates),
            process: process(now, &rates),
            config: config(now),
        }
    }
}

/// The counters of two readings.
struct Rates<'a> {
    now: &'a Reading,
    /// The earlier reading, and the time that has passed since, which is not zero.
    earlier: Option<(&'a Reading, Duration)>,
}

impl Rates<'_> {
    /// Of a whole family. Known from the second reading on, also if the page does not have the family yet.
    fn all(&self, family: Family) -> Option<f64> {
        self.by(family, |_| Some(String::new())).total()
    }

    /// By what `name` makes of the labels, without those of which it makes nothing.
    fn by(&self, family: Family, name: impl Fn(Labels<'_>) -> Option<String>) -> ByName {
        ByName(self.earlier.map(|(earlier, passed)| {
            let mut rates = BTreeMap::new();
            for (labels, increase) in self.now.increases(earlier, family) {
                if let (true, Some(name)) = (increase > 0.0, name(labels)) {
                    *rates.entry(name).or_default() += increase / passed.as_secs_f64();
                }
            }
            rates
        }))
    }

    /// By the value of a label.
    fn by_label(&self, family: Family, label: &str) -> ByName {
        self.by(family, |labels| Some(labels.get(label)?.into_owned()))
    }

    fn buckets(&self, family: Family) -> Buckets {
        let mut buckets = Buckets::default();
        let Some((earlier, passed)) = self.earlier else { return buckets };
        for (labels, increase) in self.now.increases(earlier, family) {
            if let Some(bound) = labels.get("le").and_then(|bound| bound.parse().ok()) {
                buckets.add(bound, increase / passed.as_secs_f64());
            }
        }
        buckets
    }
}

fn devices(now: &Reading, rates: &Rates<'_>) -> Devices {
    Devices {
        connected: now.sum(Family::DeviceCount),
        limit: now.sum(Family::MaxDeviceCount),
        connects: rates.all(Family::ConnectCount),
        disconnects: rates.all(Family::DisconnectCount),
        ends_waiting: now.sum(Family::DisconnectsWaiting),
        handshakes_waiting: now.sum(Family::HandshakesWaiting),
        handshakes_refused: rates.all(Family::HandshakesRefused),
        messages: rates.all(Family::SourceCheck),
    }
}

fn http(now: &Reading, rates: &Rates<'_>) -> Http {
    // Without a receiver the family has a series all the same.
    let receivers = now.values(Family::ReceiverState);
    let receivers = receivers.filter(|(labels, _)| labels.get("origin").as_deref() != Some("none"));
    let states: Vec<f64> = receivers.map(|(_, state)| state).collect();
    let in_state = |state: f64| states.iter().filter(|other| **other == state).count();
    // Any other status than 202 is an event that was not delivered (contract §10.5).
    let delivered = rates.by_label(Family::HttpRequests, "code");
    Http {
        delivered: delivered.0.as_ref().map(|codes| codes.get("202").copied().unwrap_or(0.0)),
        dropped: rates.by_label(Family::HttpDropped, "reason"),
        retries: rates.all(Family::HttpRetries),
        waiting: now.sum(Family::HttpQueue),
        under_way: now.sum(Family::HttpInflight),
        latency: rates.buckets(Family::HttpDuration),
        receivers: Receivers { all: states.len(), tried: in_state(1.0), open: in_state(2.0) },
    }
}

fn kafka(now: &Reading, rates: &Rates<'_>) -> Kafka {
    let is_up = now.largest(Family::KafkaUp) == Some(1.0);
    // A gateway without Kafka has `kafka_up 0` too, but has never dealt with a broker or a message.
    let signs =
        [Family::BrokerConnects, Family::BrokerConnectErrors, Family::PublishOutcome, Family::KafkaPublished];
    let is_used = is_up || signs.into_iter().any(|family| now.sum(family).is_some_and(|sum| sum > 0.0));
    let published = rates.by_label(Family::KafkaPublished, "error_type").0;
    let (delivered, failed) = published
        .map_or((None, None), |mut by_type| (Some(by_type.remove("success").unwrap_or(0.0)), Some(by_type)));
    Kafka {
        used: usize::from(is_used),
        up: usize::from(is_up),
        delivered,
        failed: ByName(failed),
        waiting: now.sum(Family::KafkaWaiting),
        unacknowledged: now.sum(Family::KafkaUnacknowledged),
        unacknowledged_bytes: now.sum(Family::KafkaUnacknowledgedBytes),
        backlog: now.largest(Family::KafkaBacklog),
        buffer: now.largest(Family::KafkaBuffer),
        oldest_seconds: now.largest(Family::KafkaOldest),
        latency: rates.buckets(Family::KafkaLatency),
    }
}

fn acks(rates: &Rates<'_>) -> Acks {
    Acks {
        written: rates.by_label(Family::AckSuccess, "qos_level"),
        unsent: rates.by_label(Family::AckUnsent, "reason"),
        outcomes: rates.by_label(Family::PublishOutcome, "outcome"),
        latency: rates.buckets(Family::AckLatency),
    }
}

fn process(now: &Reading, rates: &Rates<'_>) -> Process {
    let (open_files, limit) = (now.sum(Family::OpenFiles), now.sum(Family::MaxFiles));
    Process {
        cpu: rates.all(Family::CpuSeconds),
        cores: now.sum(Family::MaximumProcessors),
        memory_bytes: now.sum(Family::ResidentMemory),
        open_files,
        files: open_files.zip(limit).map(|(used, limit)| Share { used, limit }),
        started: now.largest(Family::StartTime),
    }
}

fn config(now: &Reading) -> Config {
    let is = |family, value| usize::from(now.largest(family) == Some(value));
    Config {
        generations: now.largest(Family::ConfigGeneration).map(|number| (number, number)),
        faulty: is(Family::ConfigLastReload, 0.0),
        last_fault: now.largest(Family::ConfigLastFailure).filter(|time| *time > 0.0),
        waiting_for_restart: now.sum(Family::ConfigWaiting),
        certificate_end: now.smallest(Family::CertificateEnd),
        gates_closed: is(Family::Gate, 0.0),
        draining: is(Family::Drain, 1.0),
    }
}
