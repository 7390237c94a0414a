//! What a ledger comes to.

use serde::{Deserialize, Serialize};

use super::End;

/// What a ledger comes to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Messages sent.
    pub sent: u64,
    /// Of these, those that the gateway may drop when resources are short (QoS below 25).
    pub sent_best_effort: u64,
    /// Messages seen at every end that they must reach.
    pub done: u64,
    /// Messages that were given up waiting for, and are still missing somewhere.
    pub expired: u64,
    /// At the event receiver.
    pub http: EndCounts,
    /// In the Kafka topic.
    pub kafka: EndCounts,
    /// Acknowledgements at the devices. Best-effort messages get none: they count as lost here.
    pub ack: EndCounts,
}

impl Counts {
    /// The counts of one end.
    #[must_use]
    pub fn end(&self, end: End) -> EndCounts {
        match end {
            End::Http => self.http,
            End::Kafka => self.kafka,
            End::Ack => self.ack,
        }
    }
}

/// What one end of a ledger comes to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndCounts {
    /// Different messages that arrived.
    pub received: u64,
    /// Messages sent that have not arrived.
    pub lost: u64,
    /// Of these, those of QoS below 25.
    pub lost_best_effort: u64,
    /// Arrivals of messages that had already arrived.
    pub duplicated: u64,
}

impl EndCounts {
    /// Messages of QoS 25 or more that have not arrived: what must not happen.
    #[must_use]
    pub fn lost_assured(&self) -> u64 {
        self.lost - self.lost_best_effort
    }
}
