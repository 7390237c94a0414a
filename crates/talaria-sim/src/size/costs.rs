//! What things cost a gateway, as it was measured, with where and when.
//!
//! The machine of all figures is two virtual cores that the gateway shared with its load; docs/performance.md says more of it. It
//! is slow: an operator's machine can be measured with `talaria-sim bench`, and each cost is an option of the calculator.

use std::time::Duration;

use super::units::Bytes;

/// How devices are connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Connection {
    /// WebSocket over TCP.
    Plain,
    /// WebSocket over TLS 1.3.
    Tls,
}

/// CPU of the gateway's process, which includes what the kernel does for it, for one of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CpuCost {
    /// What it is the cost of.
    pub what: &'static str,
    /// The option that replaces it.
    pub option: &'static str,
    /// From devices without TLS.
    pub plain: Duration,
    /// From devices over TLS.
    pub tls: Duration,
    /// Day and conditions, and how the value was derived from the measured one, if it is not that.
    pub measured: &'static str,
}

/// Memory of one idle device.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MemoryCost {
    /// Whose memory it is.
    pub what: &'static str,
    /// The option that replaces it.
    pub option: &'static str,
    /// Of a device without TLS.
    pub plain: Bytes,
    /// Of a device over TLS.
    pub tls: Bytes,
    /// Day and conditions.
    pub measured: &'static str,
}

pub(super) const EVENT: CpuCost = CpuCost {
    what: "an event to HTTP and Kafka, with its ack",
    option: "--event-cost",
    plain: Duration::from_micros(130),
    tls: Duration::from_micros(150),
    measured: "2026-11-26, paced at 3,000/s. A busier gateway pays less: 53 µs with 500 events in flight. TLS adds 20 µs, as it does there (73 against 53)",
};
pub(super) const EVENT_WITHOUT_ACK: CpuCost = CpuCost {
    what: "an event to HTTP and Kafka, without an ack",
    option: "--event-without-ack-cost",
    plain: Duration::from_micros(101),
    tls: Duration::from_micros(121),
    measured: "that, times 113/145: both were measured in one sitting, paced at 3,000/s",
};
pub(super) const REQUEST: CpuCost = CpuCost {
    what: "a request through the API, and the device's answer",
    option: "--request-cost",
    plain: Duration::from_micros(60),
    tls: Duration::from_micros(73),
    measured: "2026-11-24, 32 in flight; seven runs had 39 to 68 µs",
};
const PING: CpuCost = CpuCost {
    what: "a ping, and the device's pong",
    option: "--ping-cost",
    plain: Duration::from_micros(16),
    tls: Duration::from_micros(18),
    measured: "2026-11-26, 8,000 devices (over TLS 6,000), each pinged every 2 s, half a minute",
};
pub(super) const CONNECT: CpuCost = CpuCost {
    what: "a connect, with its online event to HTTP and Kafka",
    option: "--connect-cost",
    plain: Duration::from_micros(160),
    tls: Duration::from_micros(510),
    measured: "2026-11-26, 10,000 devices at once; 127 to 160 µs, of which this is the most",
};
pub(super) const RESUMED_CONNECT: CpuCost = CpuCost {
    what: "a connect that resumes its TLS session",
    option: "--resumed-connect-cost",
    plain: Duration::from_micros(160),
    tls: Duration::from_micros(490),
    measured: "that, times 426/445: a resumed and a full one in one sitting",
};

/// All costs in CPU.
pub const CPU_COSTS: [CpuCost; 6] = [EVENT, EVENT_WITHOUT_ACK, REQUEST, PING, CONNECT, RESUMED_CONNECT];

const DEVICE: MemoryCost = MemoryCost {
    what: "an idle device, in the gateway's process",
    option: "--device-memory",
    plain: Bytes::new(1741),
    tls: Bytes::new(5427),
    measured: "2026-11-26, resident memory, 8,000 devices without TLS and 6,000 over it",
};
const KERNEL: MemoryCost = MemoryCost {
    what: "an idle device, in the kernel",
    option: "--kernel-memory",
    plain: Bytes::new(4900),
    tls: Bytes::new(4900),
    measured: "2026-11-26, half of what 8,000 connections with both ends took in `/proc/slabinfo`: socket, inode, file, epoll",
};

/// All costs in memory.
pub const MEMORY_COSTS: [MemoryCost; 2] = [DEVICE, KERNEL];

/// The costs that a plan is made with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Costs {
    /// An event with its ack.
    pub event: Duration,
    /// An event without an ack.
    pub event_without_ack: Duration,
    /// A request and its answer.
    pub request: Duration,
    /// A ping and its pong.
    pub ping: Duration,
    /// A connect with its online event.
    pub connect: Duration,
    /// A connect that resumes its TLS session.
    pub resumed_connect: Duration,
    /// Memory of a device in the process.
    pub device: Bytes,
    /// Memory of a device in the kernel.
    pub kernel: Bytes,
}

impl Costs {
    /// The measured costs.
    #[must_use]
    pub fn measured(connection: Connection) -> Self {
        let cpu = |cost: CpuCost| match connection {
            Connection::Plain => cost.plain,
            Connection::Tls => cost.tls,
        };
        let memory = |cost: MemoryCost| match connection {
            Connection::Plain => cost.plain,
            Connection::Tls => cost.tls,
        };
        Self {
            event: cpu(EVENT),
            event_without_ack: cpu(EVENT_WITHOUT_ACK),
            request: cpu(REQUEST),
            ping: cpu(PING),
            connect: cpu(CONNECT),
            resumed_connect: cpu(RESUMED_CONNECT),
            device: memory(DEVICE),
            kernel: memory(KERNEL),
        }
    }
}
