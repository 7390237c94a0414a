//! Quality of service: the `qos` of a message and its level (contract §1.5, §15.1).
//!
//! What is dropped first when resources run short (contract §15.2) is decided where the queues are, not here.

use core::fmt;
use core::num::ParseIntError;
use core::str::FromStr;

/// The importance of a message: its `qos` (contract §15.1). Any number is valid; [`Qos::level`] gives its level.
///
/// The number is also a priority: when resources run short, messages with the lowest are dropped first.
///
/// ```
/// use wrp::{Qos, QosLevel};
///
/// assert_eq!(Qos(24).level(), QosLevel::Low);
/// assert_eq!(Qos(75).level(), QosLevel::Critical);
/// assert_eq!(Qos::from(QosLevel::High), Qos(50));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Qos(pub i64);

/// The level of a [`Qos`] value (contract §15.1), in rising order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum QosLevel {
    /// Below 25: delivered at most once, by best effort.
    Low,
    /// 25 to 49: the device keeps the message until the cloud acknowledges it.
    Medium,
    /// 50 to 74: as `Medium`, and the device passes the acknowledgement on to the message's sender.
    High,
    /// From 75: as `High`, and the cloud takes further measures to deliver the message.
    Critical,
}

impl Qos {
    /// The level that the number falls into.
    #[must_use]
    pub const fn level(self) -> QosLevel {
        match self.0 {
            75.. => QosLevel::Critical,
            50.. => QosLevel::High,
            25.. => QosLevel::Medium,
            _ => QosLevel::Low,
        }
    }

    /// Whether the sender of an event with this value waits for an acknowledgement: any level above Low.
    #[must_use]
    pub const fn wants_ack(self) -> bool {
        self.0 >= 25
    }
}

impl From<i64> for Qos {
    fn from(value: i64) -> Self {
        Self(value)
    }
}

impl From<Qos> for i64 {
    fn from(qos: Qos) -> Self {
        qos.0
    }
}

/// The lowest number of the level.
impl From<QosLevel> for Qos {
    fn from(level: QosLevel) -> Self {
        Self(match level {
            QosLevel::Low => 0,
            QosLevel::Medium => 25,
            QosLevel::High => 50,
            QosLevel::Critical => 75,
        })
    }
}

impl From<Qos> for QosLevel {
    fn from(qos: Qos) -> Self {
        qos.level()
    }
}

impl FromStr for Qos {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, ParseIntError> {
        text.parse().map(Self)
    }
}

impl fmt::Display for Qos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl QosLevel {
    /// The level's name in metrics and logs: `Low`, `Medium`, `High` or `Critical`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "Low",
            Self::Medium => "Medium",
            Self::High => "High",
            Self::Critical => "Critical",
        }
    }
}

impl fmt::Display for QosLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
