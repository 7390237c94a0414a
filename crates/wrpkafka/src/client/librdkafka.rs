//! The real client: librdkafka's producer, with our own context and the context as each record's opaque pointer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use rdkafka::ClientContext;
use rdkafka::bindings::{rd_kafka_flush, rd_kafka_message_status, rd_kafka_msg_status_t};
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::{BorrowedMessage, Header, Headers as _, Message as _, OwnedHeaders};
use rdkafka::producer::{
    BaseProducer, BaseRecord, DeliveryResult, Producer as _, ProducerContext, PurgeConfig,
};
use rdkafka::statistics::Statistics;

use super::{BuildError, Client, Failure, Refused, diagnosis, probe, properties};
use crate::config::{Config, Tls};
use crate::delivery::DeliveryContext;
use crate::delivery::{Record, RecordRef};
use crate::engine::{ClientError, Port};
use crate::error::PublishError;
use crate::files;
use crate::problem::ConnectionProblem;
use crate::routing::HeaderBlock;

/// Creates a client for a checked configuration. It connects in the background.
pub(crate) fn connect(config: &Config, port: Port) -> Result<Box<dyn Client>, BuildError> {
    let config = files::resolve(config)?;
    let client = create(&properties::client_config(&config), &config.tls, port)?;
    Ok(Box::new(client))
}

fn create(config: &ClientConfig, tls: &Tls, port: Port) -> Result<Librdkafka, BuildError> {
    let context = Context {
        port,
        ca_file: tls.ca_file.clone(),
        last_error: Mutex::new(None),
        probing: Arc::new(AtomicBool::new(false)),
    };
    match config.create_with_context::<_, BaseProducer<Context>>(context) {
        Ok(producer) => Ok(Librdkafka { producer }),
        // The client's own text names the property and the file, and never a password.
        Err(error) => Err(BuildError::Refused(error.to_string())),
    }
}

struct Librdkafka {
    producer: BaseProducer<Context>,
}

impl Client for Librdkafka {
    fn send(&self, record: RecordRef<'_>, context: Box<DeliveryContext>) -> Result<(), Refused> {
        let mut base = BaseRecord::with_opaque_to(&record.target.topic, context).payload(record.value);
        if let Some(key) = record.key {
            base = base.key(key);
        }
        if !record.headers.is_empty() {
            base = base.headers(owned_headers(record.headers));
        }
        self.producer
            .send(base)
            .map_err(|(error, base)| Refused { context: base.delivery_opaque, failure: failure(&error) })
    }

    fn poll(&self, timeout: Duration) {
        self.producer.poll(timeout);
    }

    #[expect(unsafe_code, reason = "the safe wrapper gives the client no time to see that it is to flush")]
    fn flush(&self, within: Duration) {
        let within = i32::try_from(within.as_millis()).unwrap_or(i32::MAX);
        // SAFETY: the client lives as long as the producer, which is borrowed here; the call is thread-safe. That not
        // everything is sent when the time is over is what its answer tells, and no error.
        unsafe { rd_kafka_flush(self.producer.client().native_ptr(), within) };
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
        Code::QueueFull | Code::Fatal | Code::PurgeQueue => Failure::Gone,
        Code::PurgeInflight => Failure::Doubtful,
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

/// What the client calls back: fates, statistics, errors and log lines. All from the thread that polls it.
struct Context {
    port: Port,
    /// For the look at a certificate that does not pass.
    ca_file: String,
    /// The crate tells every error twice in a row; this remembers the first.
    last_error: Mutex<Option<String>>,
    /// Whether a thread has a look already: one at a time.
    probing: Arc<AtomicBool>,
}

impl Context {
    /// A connection failed, or ended.
    fn connection_failed(&self, text: &str) {
        let Some(problem) = diagnosis::diagnose(text) else { return };
        let address = diagnosis::address(text);
        match address {
            Some(address) if problem == ConnectionProblem::UntrustedCertificate => {
                self.look_closer(address, text);
            }
            _ => self.port.problem(problem, text),
        }
    }

    /// Finds out what is wrong with a certificate, in a thread of its own, and tells that.
    fn look_closer(&self, address: &str, text: &str) {
        if self.probing.swap(true, Ordering::Relaxed) {
            return;
        }
        let (port, probing) = (self.port.clone(), Arc::clone(&self.probing));
        let (address, text, ca_file) = (address.to_owned(), text.to_owned(), self.ca_file.clone());
        let look = move || {
            let found = probe::why_untrusted(&address, &ca_file);
            port.problem(found.unwrap_or(ConnectionProblem::UntrustedCertificate), &text);
            probing.store(false, Ordering::Relaxed);
        };
        if std::thread::Builder::new().name("wrpkafka-probe".to_owned()).spawn(look).is_err() {
            self.probing.store(false, Ordering::Relaxed);
            self.port.problem(ConnectionProblem::UntrustedCertificate, "no thread for a closer look");
        }
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        if facility == "FAIL" {
            self.connection_failed(message);
        }
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
            // A closer look will say more.
            Some(Code::AllBrokersDown) if self.probing.load(Ordering::Relaxed) => return,
            Some(Code::AllBrokersDown) => ClientError::AllBrokersDown,
            _ => ClientError::Other,
        };
        self.port.error(&error.to_string(), reason, kind);
    }
}

impl ProducerContext for Context {
    type DeliveryOpaque = Box<DeliveryContext>;

    fn delivery(&self, result: &DeliveryResult<'_>, context: Box<DeliveryContext>) {
        let (message, fate) = match result {
            Ok(message) => (message, Ok(())),
            Err((error, message)) => match failure(error) {
                Failure::Gone if was_sent(message) => (message, Err(Failure::Doubtful)),
                failure => (message, Err(failure)),
            },
        };
        // The client's copy of the record serves when it has to be sent again.
        self.port.delivered(context, fate, |target| Record {
            target,
            key: message.key().map(Into::into),
            value: message.payload().unwrap_or_default().into(),
            headers: headers_of(message),
        });
    }
}

/// Whether a broker may have written a record that the client gives back.
#[expect(unsafe_code, reason = "the crate has no wrapper for a message's status")]
fn was_sent(message: &BorrowedMessage<'_>) -> bool {
    // SAFETY: the message is borrowed from its delivery report, which is alive.
    let status = unsafe { rd_kafka_message_status(message.ptr()) };
    status == rd_kafka_msg_status_t::RD_KAFKA_MSG_STATUS_POSSIBLY_PERSISTED
}

fn headers_of(message: &BorrowedMessage<'_>) -> HeaderBlock {
    let mut block = HeaderBlock::default();
    for header in message.headers().iter().flat_map(|headers| headers.iter()) {
        block.push(header.key, header.value.unwrap_or_default());
    }
    block
}

#[cfg(all(test, feature = "mock"))]
mod tests;
