//! Events: the online and offline events of devices, and all messages of devices that answer no request. They go to the HTTP
//! event receivers and to Kafka (contract §4, §5).
//!
//! The [`Dispatcher`] receives them from the sessions. It decides where a message goes, encodes it once for HTTP (v3) and
//! passes it once to Kafka (v5). It never waits: a sink without room drops the message, counts it and reports it. A message
//! that wants an acknowledgement has one [`Finalizer`] that both sinks share; the acknowledgement goes out as soon as their
//! verdict is certain.
//!
//! Deliberately absent: the sinks know nothing of each other. Start reading at the [`Dispatcher`]'s
//! [`Events`](crate::device::Events).

mod ack;
mod back_pressure;
pub mod config;
pub mod device_state;
mod dispatcher;
mod fair_queue;
mod finalizer;
pub mod http;
pub mod kafka;
mod live;
mod reason;
mod shed;
pub(crate) mod spans;
mod status;
mod status_order;
mod verdict;

#[cfg(test)]
mod tests;

pub use ack::AckMetrics;
pub use config::{
    AuthKey, AuthKeyError, ClientCertificate, Config, ConfigError, CredentialsConfig, DnsConfig, Http2Offer,
    NamedHosts, OAuth2Config, PipelineDepth, QueueLimit, ReceiverTls, RetryConfig, RetryOn, SignatureConfig,
    SignatureFormat, Transport, UrlPrefix, UrlPrefixError,
};
pub use dispatcher::{Dispatcher, Undelivered};
pub use fair_queue::{Order, PartnerWeights, Weight, WeightError};
pub use finalizer::{AckPolicy, Finalizer, Settle, Share, Sink};
pub use http::{ReceiverInstances, credentials};
pub use kafka::{DeviceKey, DeviceKeyError};
pub use reason::{DropReason, EventOutcome, NO_STATUS, SchemeLabel};
pub use verdict::Verdict;
