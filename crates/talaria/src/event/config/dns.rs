//! The settings of events whose destination is a URL that a device names: `device.outbound.dns` (contract §5.8).

use std::time::Duration;

use talaria_protocol::url::{HostPattern, Origin};

use super::{Http2Offer, QueueLimit, Transport};

/// How events with a `dns:` destination are delivered. `Default` is an absent section.
#[derive(Clone, Debug)]
pub struct DnsConfig {
    /// `enabled`, `allowedHosts` and `allowPrivate`.
    pub hosts: NamedHosts,
    /// `queueSize` and `queueBytes`: the bound of the events that wait to be posted, and once more of those that wait to be
    /// posted again.
    pub queue: QueueLimit,
    /// `queueSizePerDevice` and `queueBytesPerDevice`: what one device may have in the queues and under way.
    pub share: QueueLimit,
    /// `workerPoolSize`: how many requests run at the same time. At least 1.
    pub workers: usize,
    /// `maxRequestsPerDevice`: how many of them may be of one device.
    pub max_requests_per_device: usize,
    /// `maxRequestsPerHost`: how many of them may be to one scheme, host and port.
    pub max_requests_per_host: usize,
    /// `requestTimeout`: the time limit of an event, from its queueing on.
    pub request_timeout: Duration,
    /// `connectTimeout`: the time limit of name resolution, connection and TLS handshake together.
    pub connect_timeout: Duration,
    /// `answerTimeout`: the time limit from the first byte of a request to the last one of the answer.
    pub answer_timeout: Duration,
    /// `transport`: which connections are kept.
    pub transport: Transport,
}

/// The hosts that devices may name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NamedHosts {
    /// None: `dns:` destinations are dropped.
    None,
    /// Hosts whose addresses are public.
    Public,
    /// All hosts, whatever their addresses are.
    Any,
    /// These hosts only, whatever their addresses are.
    Listed(Vec<HostPattern>),
}

impl NamedHosts {
    /// Whether a device may name this host, as far as its name tells.
    pub(in crate::event) fn allows(&self, origin: &Origin) -> bool {
        match self {
            Self::None => false,
            Self::Public | Self::Any => true,
            Self::Listed(hosts) => hosts.iter().any(|host| host.matches(origin)),
        }
    }
}

impl Default for DnsConfig {
    fn default() -> Self {
        Self {
            hosts: NamedHosts::Public,
            queue: QueueLimit { messages: 1000, bytes: 16 << 20 },
            share: QueueLimit { messages: 50, bytes: 1 << 20 },
            workers: 32,
            max_requests_per_device: 2,
            max_requests_per_host: 8,
            request_timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(3),
            answer_timeout: Duration::from_secs(5),
            transport: Transport {
                max_idle_conns: 100,
                max_idle_conns_per_host: 2,
                idle_conn_timeout: Duration::from_secs(90),
                lookup_max_age: Duration::from_secs(30),
                http2: Http2Offer::Offered,
            },
        }
    }
}
