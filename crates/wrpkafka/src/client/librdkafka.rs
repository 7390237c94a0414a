//! The real client: librdkafka's producer, with our own context and the ticket as each record's opaque pointer.

use std::time::Duration;

use parking_lot::Mutex;
use rdkafka::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::{Header, Headers as _, Message as _, OwnedHeaders};
use rdkafka::producer::{
    BaseProducer, BaseRecord, DeliveryResult, Producer as _, ProducerContext, PurgeConfig,
};
use rdkafka::statistics::Statistics;

use super::{Client, Failure, Refused, properties};
use crate::config::{Config, Tls};
use crate::engine::{ClientError, Port};
use crate::error::PublishError;
use crate::header::HeaderBlock;
use crate::record::{Record, RecordRef};
use crate::ticket::Ticket;

/// Creates a client for a checked configuration. It connects in the background.
pub(crate) fn connect(config: &Config, port: Port) -> Result<Box<dyn Client>, String> {
    check_files(&config.tls)?;
    let client = create(&properties::client_config(config), port)?;
    Ok(Box::new(client))
}

/// Names the file that can't be read, which the client's own text does not.
fn check_files(tls: &Tls) -> Result<(), String> {
    let files =
        [("tls.caFile", &tls.ca_file), ("tls.certFile", &tls.cert_file), ("tls.keyFile", &tls.key_file)];
    for (key, path) in files {
        if tls.enabled && !path.is_empty() {
            std::fs::metadata(path).map_err(|error| format!("{key}: cannot read `{path}`: {error}"))?;
        }
    }
    Ok(())
}

fn create(config: &ClientConfig, port: Port) -> Result<Librdkafka, String> {
    let context = Context { port, last_error: Mutex::new(None) };
    match config.create_with_context::<_, BaseProducer<Context>>(context) {
        Ok(producer) => Ok(Librdkafka { producer }),
        // The client's own text names the property and the file, and never a password.
        Err(error) => Err(error.to_string()),
    }
}

struct Librdkafka {
    producer: BaseProducer<Context>,
}

impl Client for Librdkafka {
    fn send(&self, record: RecordRef<'_>, ticket: Box<Ticket>) -> Result<(), Refused> {
        let mut base = BaseRecord::with_opaque_to(&record.target.topic, ticket).payload(record.value);
        if let Some(key) = record.key {
            base = base.key(key);
        }
        if record.headers.len() > 0 {
            base = base.headers(owned_headers(record.headers));
        }
        self.producer
            .send(base)
            .map_err(|(error, base)| Refused { ticket: base.delivery_opaque, failure: failure(&error) })
    }

    fn poll(&self, timeout: Duration) {
        self.producer.poll(timeout);
    }

    fn outstanding(&self) -> usize {
        usize::try_from(self.producer.in_flight_count()).unwrap_or_default()
    }

    fn purge(&self) {
        self.producer.purge(PurgeConfig::default().queue().inflight());
    }
}

fn owned_headers(block: &HeaderBlock) -> OwnedHeaders {
    let headers = OwnedHeaders::new_with_capacity(block.len());
    block.iter().fold(headers, |headers, (key, value)| headers.insert(Header { key, value: Some(value) }))
}

/// What an error of the client means for the record.
fn failure(error: &KafkaError) -> Failure {
    let Some(code) = error.rdkafka_error_code() else {
        return Failure::Final(PublishError::Broker {
            code: "InvalidRecord".into(),
            reason: error.to_string().into(),
        });
    };
    match code {
        Code::QueueFull | Code::Fatal | Code::PurgeQueue | Code::PurgeInflight => Failure::Gone,
        Code::MessageTimedOut => Failure::Final(PublishError::Timeout),
        Code::BrokerTransportFailure
        | Code::AllBrokersDown
        | Code::OperationTimedOut
        | Code::TimedOutQueue
        | Code::RequestTimedOut
        | Code::NetworkException
        | Code::LeaderNotAvailable
        | Code::NotLeaderForPartition
        | Code::NotEnoughReplicas
        | Code::NotEnoughReplicasAfterAppend
        | Code::KafkaStorageError
        | Code::OutOfOrderSequenceNumber
        | Code::UnknownProducerId => Failure::Transient(broker_error(code)),
        _ => Failure::Final(broker_error(code)),
    }
}

fn broker_error(code: Code) -> PublishError {
    // The crate prints `Name (description)`.
    let text = code.to_string();
    let reason = text.split_once(" (").map_or(text.as_str(), |(_, reason)| reason.trim_end_matches(')'));
    PublishError::Broker { code: format!("{code:?}").into(), reason: reason.into() }
}

/// What the client calls back: fates, statistics, errors and log lines.
struct Context {
    port: Port,
    /// The crate tells every error twice in a row; this remembers the first.
    last_error: Mutex<Option<String>>,
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        // Even its emergencies lose nothing: a client beyond use is replaced, and its records sent again.
        match level {
            RDKafkaLogLevel::Emerg
            | RDKafkaLogLevel::Alert
            | RDKafkaLogLevel::Critical
            | RDKafkaLogLevel::Error
            | RDKafkaLogLevel::Warning => tracing::warn!(target: "librdkafka", facility, "{message}"),
            RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => {
                tracing::info!(target: "librdkafka", facility, "{message}");
            }
            RDKafkaLogLevel::Debug => tracing::debug!(target: "librdkafka", facility, "{message}"),
        }
    }

    fn stats(&self, statistics: Statistics) {
        self.port.statistics(&statistics);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        {
            let mut last = self.last_error.lock();
            if last.as_deref() == Some(reason) {
                *last = None;
                return;
            }
            *last = Some(reason.to_owned());
        }
        let kind = match error.rdkafka_error_code() {
            Some(Code::Fatal) => ClientError::Fatal,
            Some(Code::AllBrokersDown) => ClientError::AllBrokersDown,
            _ => ClientError::Other,
        };
        self.port.error(&error.to_string(), reason, kind);
    }
}

impl ProducerContext for Context {
    type DeliveryOpaque = Box<Ticket>;

    fn delivery(&self, result: &DeliveryResult<'_>, ticket: Box<Ticket>) {
        let (message, fate) = match result {
            Ok(message) => (message, Ok(())),
            Err((error, message)) => (message, Err(failure(error))),
        };
        // The client's copy of the record serves when it has to be sent again.
        self.port.delivered(ticket, fate, |target| Record {
            target,
            key: message.key().map(Into::into),
            value: message.payload().unwrap_or_default().into(),
            headers: headers_of(message),
        });
    }
}

fn headers_of(message: &rdkafka::message::BorrowedMessage<'_>) -> HeaderBlock {
    let mut block = HeaderBlock::default();
    for header in message.headers().iter().flat_map(|headers| headers.iter()) {
        block.push(header.key, header.value.unwrap_or_default());
    }
    block
}

#[cfg(all(test, feature = "mock"))]
mod tests;
