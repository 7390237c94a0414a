//! The kinds of attack.

use serde::{Deserialize, Serialize};

/// A kind of attack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A request's header, a byte at a time, without an end.
    SlowHeader,
    /// A request's body, a byte at a time.
    SlowBody,
    /// The beginning of a TLS handshake, and then silence.
    HalfHandshake,
    /// A device that floods the gateway with frames without a mask.
    UnmaskedFlood,
    /// A device whose frame claims to be 2^62 bytes long.
    GiantFrame,
    /// A device whose message has fragments without an end.
    FragmentBomb,
    /// A device with a token that is none.
    BadToken,
    /// A device that connects again and again, and leaves without a word.
    ReconnectStorm,
}

/// One of a gateway's counters: a metric's name without its prefix, and the value of its label `reason`, if it has one.
pub(super) type Counter = (&'static str, Option<&'static str>);

const FAILURES: &str = "connection_failures_total";
const ABUSES: &str = "device_protocol_errors_total";

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 8] = [
        Kind::SlowHeader,
        Kind::SlowBody,
        Kind::HalfHandshake,
        Kind::UnmaskedFlood,
        Kind::GiantFrame,
        Kind::FragmentBomb,
        Kind::BadToken,
        Kind::ReconnectStorm,
    ];

    /// The attack's name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::SlowHeader => "slow header",
            Kind::SlowBody => "slow body",
            Kind::HalfHandshake => "half handshake",
            Kind::UnmaskedFlood => "unmasked flood",
            Kind::GiantFrame => "giant frame",
            Kind::FragmentBomb => "fragment bomb",
            Kind::BadToken => "bad token",
            Kind::ReconnectStorm => "reconnect storm",
        }
    }

    /// The counters of a gateway, any of which tells of this attack.
    pub(super) fn counters(self, is_tls: bool) -> &'static [Counter] {
        match self {
            Kind::SlowHeader => &[(FAILURES, Some("slow_header"))],
            Kind::SlowBody => &[(FAILURES, Some("slow_body"))],
            Kind::HalfHandshake if is_tls => &[(FAILURES, Some("handshake_timeout"))],
            Kind::HalfHandshake => &[(FAILURES, Some("malformed"))],
            Kind::UnmaskedFlood => &[(ABUSES, Some("unmasked"))],
            Kind::GiantFrame => &[(ABUSES, Some("too_big"))],
            Kind::FragmentBomb => &[(ABUSES, Some("too_big")), (ABUSES, Some("no_room"))],
            Kind::BadToken => &[("auth_failures_total", None)],
            Kind::ReconnectStorm => &[("connect_count", None)],
        }
    }
}
