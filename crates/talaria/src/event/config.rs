//! The settings of events: the section `device.outbound` (contract §5.5, §9.6).

mod credentials;
mod dns;
mod pipeline;
mod retry;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ::http::{HeaderValue, Method};

pub use credentials::{
    ClientCertificate, CredentialsConfig, OAuth2Config, ReceiverTls, SignatureConfig, SignatureFormat,
    UrlPrefix, UrlPrefixError,
};
pub use dns::{DnsConfig, NamedHosts};
pub use pipeline::PipelineDepth;
pub use retry::{RetryConfig, RetryOn};

use super::fair_queue::{Fairness, Order, PartnerWeights};
use super::finalizer::AckPolicy;
use super::http::endpoints::Endpoints;

/// How events are delivered. `Default` is an absent `device.outbound`.
#[derive(Clone, Debug)]
pub struct Config {
    /// `source`: the source of the gateway's own events. By default `dns:<host>`; the reference's `localhost` is not a
    /// locator.
    pub source: String,
    /// The name of this host, for the source of acknowledgements: `dns:<host>` (contract §14.11).
    pub host: String,
    /// `method` of the requests to event receivers.
    pub method: Method,
    /// `authKey`: sent as `Authorization: Basic <key>` to the URLs of `endpoints`, never to a host that a device names.
    pub auth_key: Option<AuthKey>,
    /// `eventEndpoints`: the URLs of each event type.
    pub endpoints: Endpoints,
    /// `enableConsulRoundRobin`: whether connections to them go to the instances that service discovery has found.
    pub by_instances: bool,
    /// `credentials`: what single receivers are shown.
    pub credentials: Vec<CredentialsConfig>,
    /// `defaultScheme`: the scheme of a `dns:` destination without one.
    pub default_scheme: String,
    /// `allowedSchemes` of `dns:` destinations and of redirects, compared with case. `default_scheme` has to be one of
    /// them.
    pub allowed_schemes: Vec<String>,
    /// `outboundQueueSize`, and the same in bytes: the bound of the events that wait to be posted, and once more of those that
    /// wait to be posted again.
    pub queue: QueueLimit,
    /// `statusQueueSize`, `statusQueueBytes`: the room of the online and offline events on their way to one sink. Each sink
    /// has as much.
    pub status_queue: QueueLimit,
    /// `partnerWeights`: the shares of partners in a queue that is contended.
    pub partner_weights: Arc<PartnerWeights>,
    /// `order`: whether the events of a device may overtake each other on their way to a receiver.
    pub order: Order,
    /// `workerPoolSize`: how many requests run at the same time. At least 1.
    pub workers: usize,
    /// `requestTimeout`: the time limit of an event, from its queueing on.
    pub request_timeout: Duration,
    /// `clientTimeout`: the time limit of all attempts of an event together.
    pub client_timeout: Duration,
    /// `connectTimeout`: the time limit of name resolution, connection and TLS handshake together.
    pub connect_timeout: Duration,
    /// `retries`, `retryInterval`, `retryMaxInterval`, `retryOn`: attempts after the first one.
    pub retry: RetryConfig,
    /// `transport`: which connections to receivers are kept.
    pub transport: Transport,
    /// `transport.pipeline`: how many events go to a receiver in one packet.
    pub pipeline: PipelineDepth,
    /// `dns`: the events whose destination is a URL that a device names.
    pub dns: DnsConfig,
    /// `ackPolicy`: whose verdict a device receives where its message goes to Kafka.
    pub ack_policy: AckPolicy,
    /// How many messages of one device may wait for their acknowledgement. The next one is answered with rdr 100.
    pub max_unacknowledged_per_device: usize,
    /// The bytes of the acknowledgements that wait for the outcome of their messages, of all devices together
    /// (`maxUnacknowledgedBytes`). One device may have a sixteenth of them.
    pub max_unacknowledged_bytes: usize,
}

impl Default for Config {
    fn default() -> Self {
        let host = gethostname::gethostname().to_string_lossy().into_owned();
        Self {
            source: format!("dns:{host}"),
            host,
            method: Method::POST,
            auth_key: None,
            endpoints: Endpoints::default(),
            by_instances: false,
            credentials: Vec::new(),
            default_scheme: "https".to_owned(),
            allowed_schemes: vec!["https".to_owned()],
            queue: QueueLimit { messages: 1000, bytes: 64 << 20 },
            status_queue: QueueLimit { messages: 100_000, bytes: 128 << 20 },
            partner_weights: Arc::default(),
            order: Order::default(),
            workers: 100,
            request_timeout: Duration::from_secs(125),
            client_timeout: Duration::from_secs(160),
            connect_timeout: Duration::from_secs(5),
            retry: RetryConfig::default(),
            transport: Transport::default(),
            pipeline: PipelineDepth::default(),
            dns: DnsConfig::default(),
            ack_policy: AckPolicy::default(),
            max_unacknowledged_per_device: 10_000,
            max_unacknowledged_bytes: 128 * 1024 * 1024,
        }
    }
}

/// A value of the section that is not valid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {problem}")]
pub struct ConfigError {
    /// The key below `device.outbound`.
    pub key: &'static str,
    /// What is wrong and what to do.
    pub problem: String,
}

impl Config {
    pub(super) fn fairness(&self) -> Fairness {
        let slot = self.queue.bytes / self.queue.messages.max(1);
        Fairness { weights: Arc::clone(&self.partner_weights), order: self.order, slot }
    }

    /// Checks that the values are consistent. Each value by itself was checked when it was parsed.
    ///
    /// # Errors
    /// All inconsistencies.
    pub fn check(&self) -> Result<(), Vec<ConfigError>> {
        let mut faults = Vec::new();
        if !self.allowed_schemes.contains(&self.default_scheme) {
            let allowed = self.allowed_schemes.join(", ");
            let problem = format!(
                "expected a scheme of allowedSchemes ({allowed}), found {}: add it there, or choose one of them",
                self.default_scheme
            );
            faults.push(ConfigError { key: "defaultScheme", problem });
        }
        if faults.is_empty() { Ok(()) } else { Err(faults) }
    }
}

/// The bound of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueLimit {
    /// Messages.
    pub messages: usize,
    /// Bytes of their bodies. A message that is alone in the queue is accepted whatever its size.
    pub bytes: usize,
}

impl QueueLimit {
    /// Whether a queue that holds so much has room for one more message. One that is alone is accepted whatever its size, so
    /// that no bound makes a single message undeliverable.
    pub(super) const fn has_room(self, messages: usize, queued_bytes: usize, bytes: usize) -> bool {
        messages < self.messages && (messages == 0 || queued_bytes.saturating_add(bytes) <= self.bytes)
    }
}

/// `device.outbound.transport`: what is kept for the next request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transport {
    /// `maxIdleConns`, over all hosts. 0: no limit.
    pub max_idle_conns: usize,
    /// `maxIdleConnsPerHost`. 0 means 2, as in the reference.
    pub max_idle_conns_per_host: usize,
    /// `idleConnTimeout`: how long a connection may be idle. 0: no limit.
    pub idle_conn_timeout: Duration,
    /// `lookupMaxAge`: how long the addresses of a host are used for new connections. 0: for one.
    pub lookup_max_age: Duration,
    /// `http2`.
    pub http2: Http2Offer,
}

/// Whether HTTP/2 is offered with TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Http2Offer {
    /// The receiver chooses between it and HTTP/1.1.
    Offered,
    /// HTTP/1.1 only.
    Withheld,
}

impl Default for Transport {
    fn default() -> Self {
        Self {
            max_idle_conns: 0,
            max_idle_conns_per_host: 100,
            idle_conn_timeout: Duration::ZERO,
            lookup_max_age: Duration::from_secs(30),
            http2: Http2Offer::Offered,
        }
    }
}

/// The credentials sent to event receivers: base64 of `user:password`. They are not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct AuthKey(HeaderValue);

impl AuthKey {
    /// The key as it is configured.
    ///
    /// # Errors
    /// [`AuthKeyError`] if it holds characters that an HTTP header cannot.
    pub fn new(key: &str) -> Result<Self, AuthKeyError> {
        let mut value = HeaderValue::try_from(format!("Basic {key}")).map_err(|_| AuthKeyError)?;
        value.set_sensitive(true);
        Ok(Self(value))
    }

    /// The value of the `Authorization` header.
    pub(super) fn header(&self) -> &HeaderValue {
        &self.0
    }
}

impl fmt::Debug for AuthKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuthKey(…)")
    }
}

/// A key that cannot be sent in a header. The text does not show it.
#[derive(Debug, thiserror::Error)]
#[error("the key holds characters that an HTTP header cannot")]
pub struct AuthKeyError;
