use std::fmt;

/// How much a message matters: its `qos` (contract §15.1). Any number is kept; [`Qos::level`] says what it means.
///
/// When resources run short the number is also the priority: the lowest goes first.
///
/// ```
/// use wrp::{Qos, QosLevel};
///
/// assert_eq!(Qos(24).level(), QosLevel::Low);
/// assert_eq!(Qos(75).level(), QosLevel::Critical);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Qos(pub i64);

/// The four services that a [`Qos`] value can ask for (contract §15.1), in rising order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum QosLevel {
    /// Below 25: at most once, best effort.
    Low,
    /// 25 to 49: the device keeps it until the cloud acknowledges.
    Medium,
    /// 50 to 74: as medium, and the device passes the acknowledgement on.
    High,
    /// From 75: as high, and the cloud takes any further means to ensure delivery.
    Critical,
}

impl Qos {
    /// The service asked for.
    pub const fn level(self) -> QosLevel {
        match self.0 {
            75.. => QosLevel::Critical,
            50.. => QosLevel::High,
            25.. => QosLevel::Medium,
            _ => QosLevel::Low,
        }
    }

    /// Whether the sender of an event with this quality of service waits for an acknowledgement.
    pub const fn wants_ack(self) -> bool {
        self.0 >= 25
    }
}

impl From<i64> for Qos {
    fn from(value: i64) -> Self {
        Qos(value)
    }
}

impl fmt::Display for Qos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl QosLevel {
    /// The level's name, as metrics and logs have it: `Low`, `Medium`, `High` or `Critical`.
    pub const fn as_str(self) -> &'static str {
        match self {
            QosLevel::Low => "Low",
            QosLevel::Medium => "Medium",
            QosLevel::High => "High",
            QosLevel::Critical => "Critical",
        }
    }
}

impl fmt::Display for QosLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
