//! The families of metrics that are shown, and where a page has them: a prefix that the operator chose, and a name (contract §10).
//!
//! The prefixes are read off the page: some names that every page has end in a way that no other name does.

use std::collections::BTreeMap;

/// A family whose values are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Family {
    DeviceCount,
    MaxDeviceCount,
    ConnectCount,
    DisconnectCount,
    DisconnectsWaiting,
    HandshakesWaiting,
    HandshakesRefused,
    SourceCheck,
    MaximumProcessors,
    ConfigGeneration,
    ConfigLastReload,
    ConfigLastFailure,
    ConfigWaiting,
    CertificateEnd,
    BrokerConnects,
    BrokerConnectErrors,
    HttpRequests,
    HttpDropped,
    HttpDuration,
    HttpQueue,
    HttpInflight,
    HttpRetries,
    ReceiverState,
    AckSuccess,
    AckUnsent,
    AckLatency,
    PublishOutcome,
    KafkaPublished,
    KafkaLatency,
    KafkaUp,
    KafkaBacklog,
    KafkaBuffer,
    KafkaWaiting,
    KafkaUnacknowledged,
    KafkaUnacknowledgedBytes,
    KafkaOldest,
    Gate,
    Drain,
    CpuSeconds,
    ResidentMemory,
    OpenFiles,
    MaxFiles,
    StartTime,
}

/// Whose prefix a family has (contract §10.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    /// `<namespace>_<subsystem>_`
    Devices,
    /// None, unless `touchstone` gives one.
    Sinks,
    /// `<namespace>_process_`
    Process,
}

const FAMILIES: &[(Family, Owner, &str)] = &[
    (Family::DeviceCount, Owner::Devices, "device_count"),
    (Family::MaxDeviceCount, Owner::Devices, "max_device_count"),
    (Family::ConnectCount, Owner::Devices, "connect_count"),
    (Family::DisconnectCount, Owner::Devices, "disconnect_count"),
    (Family::DisconnectsWaiting, Owner::Devices, "disconnects_waiting"),
    (Family::HandshakesWaiting, Owner::Devices, "handshakes_waiting"),
    (Family::HandshakesRefused, Owner::Devices, "handshakes_refused_total"),
    (Family::SourceCheck, Owner::Devices, "wrp_source_check"),
    (Family::MaximumProcessors, Owner::Devices, "maximum_processors"),
    (Family::ConfigGeneration, Owner::Devices, "config_generation"),
    (Family::ConfigLastReload, Owner::Devices, "config_last_reload_successful"),
    (Family::ConfigLastFailure, Owner::Devices, "config_last_failure_timestamp_seconds"),
    (Family::ConfigWaiting, Owner::Devices, "config_keys_waiting_for_restart"),
    (Family::CertificateEnd, Owner::Devices, "tls_certificate_not_after_seconds"),
    (Family::BrokerConnects, Owner::Devices, "connects_total"),
    (Family::BrokerConnectErrors, Owner::Devices, "connect_errors_total"),
    (Family::HttpRequests, Owner::Sinks, "outbound_requests"),
    (Family::HttpDropped, Owner::Sinks, "outbound_dropped_messages"),
    (Family::HttpDuration, Owner::Sinks, "outbound_request_duration_seconds_bucket"),
    (Family::HttpQueue, Owner::Sinks, "outbound_queue_size"),
    (Family::HttpInflight, Owner::Sinks, "outbound_inflight"),
    (Family::HttpRetries, Owner::Sinks, "outbound_retries"),
    (Family::ReceiverState, Owner::Sinks, "outbound_receiver_state"),
    (Family::AckSuccess, Owner::Sinks, "outbound_ack_success"),
    (Family::AckUnsent, Owner::Sinks, "outbound_ack_unsent_total"),
    (Family::AckLatency, Owner::Sinks, "outbound_ack_success_latency_seconds_bucket"),
    (Family::PublishOutcome, Owner::Sinks, "publish_outcome_total"),
    (Family::KafkaPublished, Owner::Sinks, "kafka_messages_published_total"),
    (Family::KafkaLatency, Owner::Sinks, "kafka_publish_latency_seconds_bucket"),
    (Family::KafkaUp, Owner::Sinks, "kafka_up"),
    (Family::KafkaBacklog, Owner::Sinks, "kafka_waiting_utilization"),
    (Family::KafkaBuffer, Owner::Sinks, "kafka_buffer_utilization"),
    (Family::KafkaWaiting, Owner::Sinks, "kafka_waiting_records"),
    (Family::KafkaUnacknowledged, Owner::Sinks, "kafka_unacknowledged_records"),
    (Family::KafkaUnacknowledgedBytes, Owner::Sinks, "kafka_unacknowledged_bytes"),
    (Family::KafkaOldest, Owner::Sinks, "kafka_oldest_record_age_seconds"),
    (Family::Gate, Owner::Sinks, "gate_status"),
    (Family::Drain, Owner::Sinks, "drain_status"),
    (Family::CpuSeconds, Owner::Process, "process_cpu_seconds_total"),
    (Family::ResidentMemory, Owner::Process, "process_resident_memory_bytes"),
    (Family::OpenFiles, Owner::Process, "process_open_fds"),
    (Family::MaxFiles, Owner::Process, "process_max_fds"),
    (Family::StartTime, Owner::Process, "process_start_time_seconds"),
];

/// Names by whose ends the prefixes are found; a page has at least one of each owner's. No other name of a gateway ends like them.
const MARKERS: &[(Owner, &str)] = &[
    (Owner::Devices, "max_device_count"),
    (Owner::Devices, "maximum_processors"),
    (Owner::Devices, "in_flight_requests"),
    (Owner::Devices, "request_response_count"),
    (Owner::Sinks, "outbound_queue_size"),
    (Owner::Sinks, "outbound_inflight"),
    (Owner::Sinks, "publish_outcome_total"),
    (Owner::Process, "process_start_time_seconds"),
    (Owner::Process, "process_cpu_seconds_total"),
];

/// The names of the families on one page.
#[derive(Debug)]
pub(crate) struct Names(BTreeMap<String, Family>);

impl Names {
    /// The names on the page that has these. `None` if it is not the page of a gateway: nothing on it is of a device manager.
    pub(crate) fn on_page<'a>(names: impl Iterator<Item = &'a str>) -> Option<Self> {
        let (mut devices, mut sinks, mut process) = (None, None, None);
        for name in names {
            if devices.is_some() && sinks.is_some() && process.is_some() {
                break;
            }
            for (owner, marker) in MARKERS {
                let prefix = match owner {
                    Owner::Devices => &mut devices,
                    Owner::Sinks => &mut sinks,
                    Owner::Process => &mut process,
                };
                if prefix.is_none() {
                    *prefix = prefix_before(name, marker);
                }
            }
        }
        let devices = devices?;
        let table = FAMILIES.iter().map(|(family, owner, name)| {
            let prefix = match owner {
                Owner::Devices => devices,
                Owner::Sinks => sinks.unwrap_or_default(),
                Owner::Process => process.unwrap_or_default(),
            };
            (format!("{prefix}{name}"), *family)
        });
        Some(Self(table.collect()))
    }

    /// The family of this name, if it is shown.
    pub(crate) fn family(&self, name: &str) -> Option<Family> {
        self.0.get(name).copied()
    }
}

/// What stands before the marker: nothing, or a text that ends with `_`.
fn prefix_before<'a>(name: &'a str, marker: &str) -> Option<&'a str> {
    name.strip_suffix(marker).filter(|prefix| prefix.is_empty() || prefix.ends_with('_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prefixes_are_those_of_the_page() {
        for (devices, sinks, process) in
            [("talaria_talaria_", "", "talaria_"), ("xmidt_talaria_", "a_b_", "xmidt_"), ("", "", "")]
        {
            let page = [
                format!("{sinks}outbound_queue_size"),
                format!("{sinks}outbound_receiver_queue_size"),
                format!("{devices}sd_refused_device_count"),
                format!("{devices}max_device_count"),
                format!("{process}process_start_time_seconds"),
            ];
            let names = Names::on_page(page.iter().map(String::as_str)).unwrap();
            assert_eq!(names.family(&format!("{devices}device_count")), Some(Family::DeviceCount));
            assert_eq!(names.family(&format!("{devices}sd_refused_device_count")), None);
            assert_eq!(names.family(&format!("{sinks}kafka_up")), Some(Family::KafkaUp));
            assert_eq!(names.family(&format!("{process}process_open_fds")), Some(Family::OpenFiles));
        }
        assert!(Names::on_page(["go_goroutines", "process_open_fds"].into_iter()).is_none());
    }

    #[test]
    fn every_name_is_in_the_contract_and_no_other_name_ends_like_a_marker() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/contract/10-health-and-metrics.md");
        let contract = std::fs::read_to_string(path).unwrap();
        let quoted: Vec<&str> = contract.split('`').skip(1).step_by(2).collect();
        for (_, owner, name) in FAMILIES {
            let name = name.trim_end_matches("_bucket");
            let name = if *owner == Owner::Process { name.trim_start_matches("process_") } else { name };
            let has = quoted.iter().any(|text| *text == name || text.starts_with(&format!("{name}{{")));
            assert!(has, "{name} is not in the contract");
        }
        for (_, marker) in MARKERS {
            let mut others =
                quoted.iter().filter(|text| *text != marker && prefix_before(text, marker).is_some());
            assert_eq!(others.next(), None, "{marker}");
        }
    }
}
