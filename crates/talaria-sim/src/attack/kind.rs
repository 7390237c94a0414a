//! The kinds of attack, and the gateway's counters that must count each.

use serde::{Deserialize, Serialize};

/// A kind of attack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Sends the header of a request one byte at a time, without end.
    SlowHeader,
    /// Sends the body of a request one byte at a time.
    SlowBody,
    /// Sends the first bytes of a TLS handshake and then nothing.
    HalfHandshake,
    /// Connects as a device and sends many frames without a mask.
    UnmaskedFlood,
    /// Connects as a device and sends a frame with a length of 2^62 bytes.
    GiantFrame,
    /// Connects as a device and sends a message with endless fragments.
    FragmentBomb,
    /// Connects as a device with a token that is not signed.
    BadToken,
    /// Connects as a device again and again, and drops the connection each time.
    ReconnectStorm,
    /// Connects as a device and sends events for a host that it names, which accepts connections and never answers.
    DeviceNamedHost,
    /// Connects as a device and sends messages with as many entries as fit.
    CostlyMessage,
    /// Opens many connections and sends nothing.
    DescriptorHog,
    /// Connects as a device and sends the longest message without its last byte.
    UnfinishedHog,
    /// Connects as a device and sends events with long acknowledgements, of which it reads none.
    UnreadAcks,
    /// Connects as a device again and again, each time with another name for its model.
    LabelFlood,
}

/// A counter of the gateway: the name of its metric without the prefix, and the value of its label `reason`, if it has one.
pub(super) type Counter = (&'static str, Option<&'static str>);

const CONNECTION_FAILURES: &str = "connection_failures_total";
const PROTOCOL_ERRORS: &str = "device_protocol_errors_total";

impl Kind {
    /// All kinds, in the order of the report.
    pub const ALL: [Self; 14] = [
        Self::SlowHeader,
        Self::SlowBody,
        Self::HalfHandshake,
        Self::UnmaskedFlood,
        Self::GiantFrame,
        Self::FragmentBomb,
        Self::BadToken,
        Self::ReconnectStorm,
        Self::DeviceNamedHost,
        Self::CostlyMessage,
        Self::DescriptorHog,
        Self::UnfinishedHog,
        Self::UnreadAcks,
        Self::LabelFlood,
    ];

    /// The name in the report.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SlowHeader => "slow header",
            Self::SlowBody => "slow body",
            Self::HalfHandshake => "half handshake",
            Self::UnmaskedFlood => "unmasked flood",
            Self::GiantFrame => "giant frame",
            Self::FragmentBomb => "fragment bomb",
            Self::BadToken => "bad token",
            Self::ReconnectStorm => "reconnect storm",
            Self::DeviceNamedHost => "named host",
            Self::CostlyMessage => "costly message",
            Self::DescriptorHog => "descriptor hog",
            Self::UnfinishedHog => "unfinished hog",
            Self::UnreadAcks => "unread acks",
            Self::LabelFlood => "label flood",
        }
    }

    /// The counters of the gateway, of which at least one must count this attack.
    pub(super) fn counters(self, is_tls: bool) -> &'static [Counter] {
        match self {
            Self::SlowHeader => &[(CONNECTION_FAILURES, Some("slow_header"))],
            Self::SlowBody => &[(CONNECTION_FAILURES, Some("slow_body"))],
            Self::HalfHandshake if is_tls => &[(CONNECTION_FAILURES, Some("handshake_timeout"))],
            Self::HalfHandshake => &[(CONNECTION_FAILURES, Some("malformed"))],
            Self::UnmaskedFlood => &[(PROTOCOL_ERRORS, Some("unmasked"))],
            Self::GiantFrame => &[(PROTOCOL_ERRORS, Some("too_big"))],
            Self::FragmentBomb => &[(PROTOCOL_ERRORS, Some("too_big")), (PROTOCOL_ERRORS, Some("no_room"))],
            Self::BadToken => &[("auth_failures_total", None)],
            Self::ReconnectStorm | Self::LabelFlood => &[("connect_count", None)],
            Self::DeviceNamedHost => &[("outbound_dropped_messages", None)],
            Self::CostlyMessage => &[("device_refused_messages", None)],
            Self::DescriptorHog => &[(CONNECTION_FAILURES, Some("slow_header"))],
            Self::UnfinishedHog => {
                &[(PROTOCOL_ERRORS, Some("no_room")), (PROTOCOL_ERRORS, Some("slow_message"))]
            }
            Self::UnreadAcks => &[(PROTOCOL_ERRORS, Some("unread")), ("outbound_ack_unsent_total", None)],
        }
    }
}
