//! The counts of a ledger.

use serde::{Deserialize, Serialize};

use super::ends::End;

/// The counts of a ledger at one time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Messages sent.
    pub sent: u64,
    /// Those of them that the gateway may drop if resources are short (QoS below 25).
    pub sent_best_effort: u64,
    /// Messages that have arrived at all expected ends.
    pub done: u64,
    /// Messages that have expired and are still missing at some end.
    pub expired: u64,
    /// Messages at the event receiver.
    pub http: EndCounts,
    /// Messages in the Kafka topic.
    pub kafka: EndCounts,
    /// Acknowledgements at the devices. Best-effort messages get none, so they count as lost here.
    pub ack: EndCounts,
}

impl Counts {
    /// The counts of this end.
    #[must_use]
    pub fn end(&self, end: End) -> EndCounts {
        match end {
            End::Http => self.http,
            End::Kafka => self.kafka,
            End::Ack => self.ack,
        }
    }
}

/// The counts of one end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndCounts {
    /// Different messages that arrived.
    pub received: u64,
    /// Messages sent that have not arrived.
    pub lost: u64,
    /// Those of them with QoS below 25.
    pub lost_best_effort: u64,
    /// Arrivals of messages that had already arrived.
    pub duplicated: u64,
}

impl EndCounts {
    /// Messages of QoS 25 and above that have not arrived. In the end there must be none.
    #[must_use]
    pub fn lost_assured(&self) -> u64 {
        self.lost - self.lost_best_effort
    }
}
