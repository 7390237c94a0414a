//! The real client: librdkafka's producer. A record's context travels as the opaque pointer of its message.
//!
//! librdkafka's callbacks come from the thread that polls and go to [`ClientEvents`]: delivery reports, statistics, errors,
//! and log lines, from which the cause of a failed connection is derived (`diagnosis.rs`). Its own limits are off, since the
//! engine bounds what it holds (`properties.rs`). Start at [`connect`].

mod access_token;
mod own_lines;
mod statistics;
mod topic_limit;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use rdkafka::ClientContext;
use rdkafka::bindings::{
    RD_KAFKA_PURGE_F_NON_BLOCKING, RD_KAFKA_PURGE_F_QUEUE, rd_kafka_flush, rd_kafka_message_status,
    rd_kafka_msg_status_t, rd_kafka_purge, rd_kafka_t,
};
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::{BorrowedMessage, Header, Headers as _, Message as _, OwnedHeaders};
use rdkafka::producer::{
    BaseProducer, BaseRecord, DeliveryResult, Producer as _, ProducerContext, PurgeConfig,
};
use rdkafka::statistics::Statistics;

use self::own_lines::OwnLines;
use self::statistics::report;
use super::events::{Certainty, ClientError, ClientEvents, Next};
#[cfg(feature = "tls")]
use super::probe::why_untrusted;
use super::{BuildError, Client, DeliveryError, SendError, TopicAnswer, diagnosis, properties};
use crate::config::{Config, SaslMechanism, Tls};
use crate::connection_failure::ConnectionFailure;
use crate::delivery::{DeliveryContext, Record, RecordRef};
use crate::error::PublishError;
use crate::files;
use crate::routing::{HeaderBlock, Headers};
use crate::token::{News, Tokens};

/// Creates a client for a checked configuration. It connects in the background.
pub(crate) fn connect(config: &Config, events: Arc<dyn ClientEvents>) -> Result<Box<dyn Client>, BuildError> {
    let config = files::resolve(config)?;
    let tokens = match config.sasl.mechanism {
        Some(SaslMechanism::OAuthBearer) => {
            Some(Tokens::start(&config.sasl.oauth2).map_err(BuildError::Tokens)?)
        }
        _ => None,
    };
    let client = create(&properties::client_config(&config), &config.tls, tokens, events)?;
    Ok(Box::new(client))
}

fn create(
    config: &ClientConfig,
    tls: &Tls,
    tokens: Option<Tokens>,
    events: Arc<dyn ClientEvents>,
) -> Result<Librdkafka, BuildError> {
    let context = Context {
        events,
        ca_file: tls.ca_file.clone(),
        own_lines: Mutex::default(),
        last_error: Mutex::new(None),
        is_probing: Arc::new(AtomicBool::new(false)),
        is_token_refused: AtomicBool::new(false),
        producer: AtomicPtr::default(),
    };
    match config.create_with_context::<_, BaseProducer<Context>>(context) {
        Ok(producer) => {
            producer.client().context().producer.store(producer.client().native_ptr(), Ordering::Relaxed);
            Ok(Librdkafka { producer, tokens })
        }
        // librdkafka's text names the property and the file, and never a password.
        Err(error) => Err(BuildError::Settings(error.to_string())),
    }
}

struct Librdkafka {
    producer: BaseProducer<Context>,
    /// For OAUTHBEARER.
    tokens: Option<Tokens>,
}

impl Client for Librdkafka {
    fn send(&self, record: RecordRef<'_>, context: Box<DeliveryContext>) -> Result<(), SendError> {
        let mut base = BaseRecord::with_opaque_to(&record.target.topic, context).payload(record.value);
        if let Some(key) = record.key {
            base = base.key(key);
        }
        if !record.headers.is_empty() {
            base = base.headers(owned_headers(record.headers));
        }
        self.producer.send(base).map_err(|(error, base)| SendError {
            context: base.delivery_opaque,
            error: match delivery_error(&error) {
                // It has not been in a batch yet.
                DeliveryError::BatchTooLarge(error) => DeliveryError::Final(error),
                error => error,
            },
        })
    }

    fn poll(&self, timeout: Duration) {
        if let Some(tokens) = &self.tokens {
            self.follow(tokens);
        }
        self.producer.poll(timeout);
    }

    #[expect(unsafe_code, reason = "the safe wrapper gives the client no time to see that it is to flush")]
    fn flush(&self, within: Duration) {
        let within = i32::try_from(within.as_millis()).unwrap_or(i32::MAX);
        // SAFETY: the client lives as long as the producer, which is borrowed here; the call is thread-safe. It returns
        // an error code if records are left when the time is over, which is expected here.
        unsafe { rd_kafka_flush(self.producer.client().native_ptr(), within) };
    }

    fn outstanding(&self) -> usize {
        usize::try_from(self.producer.in_flight_count()).unwrap_or_default()
    }

    fn look_up(&self, topic: &str, within: Duration) -> Option<TopicAnswer> {
        let metadata = self.producer.client().fetch_metadata(Some(topic), within).ok()?;
        let found = metadata.topics().first()?;
        Some(match found.error() {
            None => TopicAnswer::Exists,
            Some(error) => TopicAnswer::Failed(broker_error(error.into())),
        })
    }

    #[expect(unsafe_code, reason = "the question needs librdkafka's own handle")]
    fn largest_batch(&self, topic: &str, within: Duration) -> Option<usize> {
        // SAFETY: the client lives as long as the producer, which is borrowed here.
        unsafe { topic_limit::largest_batch(self.producer.client().native_ptr(), topic, within) }
    }

    fn purge_queue(&self) {
        self.producer.purge(PurgeConfig::default().queue());
    }

    fn purge(&self) {
        self.producer.purge(PurgeConfig::default().queue().inflight());
    }
}

impl Librdkafka {
    /// Shows brokers the newest access token, and has another one fetched if they refuse it.
    fn follow(&self, tokens: &Tokens) {
        let client = self.producer.client();
        let context = client.context();
        if context.is_token_refused.swap(false, Ordering::Relaxed) {
            tokens.refused();
        }
        let missing = match tokens.news() {
            None => return,
            Some(News::Token(token)) => access_token::set(client, &token).err(),
            Some(News::Missing(reason)) => Some(reason),
        };
        if let Some(reason) = missing {
            context.events.on_connection_failure(ConnectionFailure::NoToken, Certainty::Known, &reason);
        }
    }
}

/// Without TLS there is no certificate.
#[cfg(not(feature = "tls"))]
fn why_untrusted(_address: &str, _ca_file: &str) -> Option<ConnectionFailure> {
    None
}

fn owned_headers(headers: Headers<'_>) -> OwnedHeaders {
    let owned = OwnedHeaders::new_with_capacity(headers.len());
    headers.iter().fold(owned, |owned, (key, value)| owned.insert(Header { key, value: Some(value) }))
}

/// What an error of librdkafka means for the record.
fn delivery_error(error: &KafkaError) -> DeliveryError {
    let Some(code) = error.rdkafka_error_code() else {
        return DeliveryError::Final(PublishError::Broker {
            code: "InvalidRecord".into(),
            reason: error.to_string().into(),
        });
    };
    match code {
        Code::QueueFull | Code::Fatal | Code::PurgeQueue => DeliveryError::NotSent,
        Code::PurgeInflight => DeliveryError::MaybeWritten,
        Code::MessageTimedOut => DeliveryError::Final(PublishError::Timeout),
        Code::BrokerTransportFailure
        | Code::AllBrokersDown
        | Code::OperationTimedOut
        | Code::TimedOutQueue
        | Code::RequestTimedOut
        | Code::NetworkException
        | Code::NotLeaderForPartition
        | Code::KafkaStorageError
        | Code::OutOfOrderSequenceNumber
        | Code::UnknownProducerId => DeliveryError::Transient(broker_error(code)),
        Code::UnknownTopic
        | Code::UnknownTopicOrPartition
        | Code::UnknownPartition
        | Code::TopicAuthorizationFailed
        | Code::LeaderNotAvailable
        | Code::NotEnoughReplicas
        | Code::NotEnoughReplicasAfterAppend => DeliveryError::TopicFailed(broker_error(code)),
        Code::MessageSizeTooLarge => DeliveryError::BatchTooLarge(broker_error(code)),
        _ => DeliveryError::Final(broker_error(code)),
    }
}

fn broker_error(code: Code) -> PublishError {
    // The crate prints `Name (description)`.
    let text = code.to_string();
    let reason = text.split_once(" (").map_or(text.as_str(), |(_, reason)| reason.trim_end_matches(')'));
    PublishError::Broker { code: format!("{code:?}").into(), reason: reason.into() }
}

/// What librdkafka calls back, always from the thread that polls.
struct Context {
    events: Arc<dyn ClientEvents>,
    /// The authorities for the probe of a certificate.
    ca_file: String,
    /// Which of librdkafka's own lines are logged.
    own_lines: Mutex<OwnLines>,
    /// The `rdkafka` crate reports every error twice in a row: the text of the first report.
    last_error: Mutex<Option<String>>,
    /// Whether a thread probes a certificate: one at a time.
    is_probing: Arc<AtomicBool>,
    /// Whether a broker has refused the access token.
    is_token_refused: AtomicBool,
    /// The producer that calls back; null once it has been told to give back its queue, which it does once.
    producer: AtomicPtr<rd_kafka_t>,
}

impl Context {
    /// Takes from the producer what it has not sent. After the callback it could have sent more.
    #[expect(unsafe_code, reason = "the crate's wrapper needs the producer, which owns this context")]
    fn give_back_queue(&self) {
        let producer = self.producer.swap(std::ptr::null_mut(), Ordering::Relaxed);
        if !producer.is_null() {
            // SAFETY: only the thread that polls the producer calls back, so the producer is alive; the call is thread-safe.
            // It fails only for what is no producer.
            unsafe { rd_kafka_purge(producer, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_NON_BLOCKING) };
        }
    }

    /// Reports the cause of a connection that failed or ended.
    fn connection_failed(&self, text: &str) {
        let Some((failure, certainty)) = diagnosis::diagnose(text) else { return };
        if failure == ConnectionFailure::Token {
            self.is_token_refused.store(true, Ordering::Relaxed);
        }
        match diagnosis::address(text) {
            Some(address) if failure == ConnectionFailure::UntrustedCertificate => {
                self.probe_certificate(address, text);
            }
            _ => self.events.on_connection_failure(failure, certainty, text),
        }
    }

    /// Finds out what is wrong with a certificate, on a thread of its own, and reports that.
    fn probe_certificate(&self, address: &str, text: &str) {
        if self.is_probing.swap(true, Ordering::Relaxed) {
            return;
        }
        let (events, is_probing) = (Arc::clone(&self.events), Arc::clone(&self.is_probing));
        let (address, text, ca_file) = (address.to_owned(), text.to_owned(), self.ca_file.clone());
        let probe = move || {
            let found = why_untrusted(&address, &ca_file);
            let failure = found.unwrap_or(ConnectionFailure::UntrustedCertificate);
            events.on_connection_failure(failure, Certainty::Known, &text);
            is_probing.store(false, Ordering::Relaxed);
        };
        if std::thread::Builder::new().name("wrpkafka-probe".to_owned()).spawn(probe).is_err() {
            self.is_probing.store(false, Ordering::Relaxed);
            let reason = "certificate not accepted; no thread could be started to find out why";
            let failure = ConnectionFailure::UntrustedCertificate;
            self.events.on_connection_failure(failure, Certainty::Known, reason);
        }
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        if facility == "FAIL" {
            // What it means for records is logged as a change of state.
            self.connection_failed(message);
            return tracing::debug!(target: "librdkafka", facility, "{message}");
        }
        let Some(suppressed) = self.own_lines.lock().admit(facility) else { return };
        // No level loses records: a client that failed for good is replaced, and its records are sent again.
        match level {
            RDKafkaLogLevel::Emerg
            | RDKafkaLogLevel::Alert
            | RDKafkaLogLevel::Critical
            | RDKafkaLogLevel::Error
            | RDKafkaLogLevel::Warning => {
                tracing::warn!(target: "librdkafka", facility, suppressed, "{message}");
            }
            RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => {
                tracing::info!(target: "librdkafka", facility, suppressed, "{message}");
            }
            RDKafkaLogLevel::Debug => tracing::debug!(target: "librdkafka", facility, "{message}"),
        }
    }

    fn stats(&self, statistics: Statistics) {
        self.events.on_report(&report(&statistics));
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
        let text = error.to_string();
        let error = match error.rdkafka_error_code() {
            Some(Code::Fatal) => ClientError::Fatal { error: &text, reason },
            // The probe will report the cause.
            Some(Code::AllBrokersDown) if self.is_probing.load(Ordering::Relaxed) => return,
            Some(Code::AllBrokersDown) => ClientError::AllBrokersDown { reason },
            _ => match diagnosis::not_opened(reason) {
                Some(broker) => ClientError::ConnectionNotOpened { broker, error: &text, reason },
                None => ClientError::Other { error: &text, reason },
            },
        };
        self.events.on_error(error);
    }
}

impl ProducerContext for Context {
    type DeliveryOpaque = Box<DeliveryContext>;

    fn delivery(&self, result: &DeliveryResult<'_>, context: Box<DeliveryContext>) {
        let (message, result) = match result {
            Ok(message) => (message, Ok(())),
            Err((error, message)) => match delivery_error(error) {
                DeliveryError::NotSent if was_sent(message) => (message, Err(DeliveryError::MaybeWritten)),
                error => (message, Err(error)),
            },
        };
        let next = self.events.on_delivery(context, result, &|| {
            let headers = headers_of(message);
            Record::new(message.key(), message.payload().unwrap_or_default(), headers.as_ref())
        });
        if next == Next::GiveBackQueue {
            self.give_back_queue();
        }
    }
}

/// Whether a broker may have written a record that librdkafka returns undelivered.
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
pub(crate) mod fatal_error;
