//! What librdkafka's events mean, as calls of [`ClientEvents`]: log lines, errors, statistics, and records that come back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use rdkafka::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::statistics::Statistics;

use super::errors::delivery_error;
use super::own_lines::OwnLines;
use super::returned::Returned;
use super::statistics::report;
use crate::client::events::{Certainty, ClientError, ClientEvents, Next};
#[cfg(feature = "tls")]
use crate::client::probe::why_untrusted;
use crate::client::{DeliveryError, diagnosis};
use crate::connection_failure::ConnectionFailure;
use crate::delivery::DeliveryContext;

/// What becomes of librdkafka's events, always on the thread that polls.
pub(super) struct Context {
    pub(super) events: Arc<dyn ClientEvents>,
    /// The authorities for the probe of a certificate.
    ca_file: String,
    /// Which of librdkafka's own lines are logged.
    own_lines: Mutex<OwnLines>,
    /// Whether a thread probes a certificate: one at a time.
    is_probing: Arc<AtomicBool>,
    /// Whether a broker has refused the access token.
    pub(super) is_token_refused: AtomicBool,
}

impl Context {
    pub(super) fn new(events: Arc<dyn ClientEvents>, ca_file: &str) -> Self {
        Self {
            events,
            ca_file: ca_file.to_owned(),
            own_lines: Mutex::default(),
            is_probing: Arc::new(AtomicBool::new(false)),
            is_token_refused: AtomicBool::new(false),
        }
    }

    /// librdkafka has written a log line. Its levels are those of syslog.
    pub(super) fn log(&self, level: i32, facility: &str, message: &str) {
        const WARNING: i32 = 4;
        const DEBUG: i32 = 7;
        if facility == "FAIL" {
            // What it means for records is logged as a change of state.
            self.connection_failed(message);
            return tracing::debug!(target: "librdkafka", facility, "{message}");
        }
        let Some(suppressed) = self.own_lines.lock().admit(facility) else { return };
        // No level loses records: a client that failed for good is replaced, and its records are sent again.
        match level {
            ..=WARNING => tracing::warn!(target: "librdkafka", facility, suppressed, "{message}"),
            DEBUG.. => tracing::debug!(target: "librdkafka", facility, "{message}"),
            _ => tracing::info!(target: "librdkafka", facility, suppressed, "{message}"),
        }
    }

    pub(super) fn error(&self, code: Code, reason: &str) {
        let text = KafkaError::Global(code).to_string();
        let error = match code {
            Code::Fatal => ClientError::Fatal { error: &text, reason },
            // The probe will report the cause.
            Code::AllBrokersDown if self.is_probing.load(Ordering::Relaxed) => return,
            Code::AllBrokersDown => ClientError::AllBrokersDown { reason },
            _ => match diagnosis::not_opened(reason) {
                Some(broker) => ClientError::ConnectionNotOpened { broker, error: &text, reason },
                None => ClientError::Other { error: &text, reason },
            },
        };
        self.events.on_error(error);
    }

    /// A record came back undelivered.
    pub(super) fn returned(&self, record: &Returned<'_>, context: Box<DeliveryContext>) -> Next {
        let error = match delivery_error(record.error()) {
            DeliveryError::NotSent if record.may_be_written() => DeliveryError::MaybeWritten,
            error => error,
        };
        self.events.on_delivery(context, Err(error), &|| record.to_record())
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
    fn stats(&self, statistics: Statistics) {
        self.events.on_report(&report(&statistics));
    }
}

/// Without TLS there is no certificate.
#[cfg(not(feature = "tls"))]
fn why_untrusted(_address: &str, _ca_file: &str) -> Option<ConnectionFailure> {
    None
}
