//! The real client: librdkafka's producer. A record's context travels as the opaque pointer of its message.
//!
//! What librdkafka reports goes to [`ClientEvents`]: delivered records from the thread that has read the broker's answer
//! (`producer.rs`), all else from the thread that polls: failed records, statistics, errors, and log lines, from which the cause
//! of a failed connection is derived (`diagnosis.rs`). Its own limits are off, since the engine bounds what it holds
//! (`properties.rs`). While many records come, they are handed over together (`handful.rs`). Start at [`connect`].

#![expect(clippy::disallowed_methods, reason = "the thread that polls is without tokio and keeps its time")]

mod access_token;
mod context;
mod errors;
mod handful;
mod own_lines;
mod producer;
mod returned;
mod statistics;
mod topic_limit;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use self::context::Context;
use self::errors::{broker_error, delivery_error};
use self::handful::{Added, GivenBack, Handful, TICK};
use self::producer::{ProduceError, Producer};
use super::events::{Certainty, ClientEvents};
use super::{BuildError, Client, DeliveryError, SendError, TopicAnswer, properties};
use crate::config::{Config, SaslMechanism};
use crate::connection_failure::ConnectionFailure;
use crate::delivery::{DeliveryContext, RecordRef};
use crate::error::PublishError;
use crate::files;
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
    let client = create(&config, tokens, events)?;
    Ok(Box::new(client))
}

fn create(
    config: &Config,
    tokens: Option<Tokens>,
    events: Arc<dyn ClientEvents>,
) -> Result<Librdkafka, BuildError> {
    let context = Context::new(Arc::clone(&events), &config.tls.ca_file);
    match Producer::new(&properties::client_config(config), context, events) {
        Ok(producer) => {
            let handful = Handful::new(config.dynamic.linger, Instant::now());
            Ok(Librdkafka { producer, handful, tokens })
        }
        // librdkafka's text names the property and the file, and never a password.
        Err(error) => Err(BuildError::Settings(error.to_string())),
    }
}

struct Librdkafka {
    producer: Producer,
    /// What the producer gets next.
    handful: Handful,
    /// For OAUTHBEARER.
    tokens: Option<Tokens>,
}

impl Client for Librdkafka {
    fn send(&self, record: RecordRef<'_>, context: Box<DeliveryContext>) -> Result<(), SendError> {
        match self.handful.add(record, context) {
            Added::Gathered => {}
            Added::Full => self.hand_over(),
            Added::PassesBy(context) => self.send_now(record, context)?,
            Added::PassesByFast(context) => {
                self.producer.wake();
                self.send_now(record, context)?;
            }
        }
        Ok(())
    }

    fn poll(&self, timeout: Duration) {
        if let Some(tokens) = &self.tokens {
            self.follow(tokens);
        }
        self.report_given_back();
        let deadline = Instant::now() + timeout;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let has_time = left >= TICK;
            if has_time && self.handful.is_wanted() {
                self.gather(deadline);
                continue;
            }
            self.serve(left);
            if !has_time || !self.handful.is_wanted() {
                return;
            }
        }
    }

    fn flush(&self, within: Duration) {
        self.hand_over();
        self.producer.flush(within);
    }

    fn outstanding(&self) -> usize {
        self.handful.outstanding(|| self.producer.outstanding())
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
        self.handful.give_back();
        self.producer.purge_queue();
    }

    fn purge(&self) {
        self.handful.give_back();
        self.producer.purge();
    }
}

impl Librdkafka {
    /// Hands over the records of each tick together, as long as many come and until the time is over.
    fn gather(&self, deadline: Instant) {
        self.handful.open();
        let mut is_fast = true;
        while is_fast && deadline.saturating_duration_since(Instant::now()) >= TICK {
            self.serve(TICK);
            self.hand_over();
            self.report_given_back();
            is_fast = self.handful.tick(Instant::now());
        }
        self.handful.close(|record, context| self.send_now(record, context));
        self.report_given_back();
    }

    fn serve(&self, timeout: Duration) {
        self.producer.serve(timeout, &|| self.handful.give_back());
    }

    fn hand_over(&self) {
        self.handful.hand_over(|record, context| self.send_now(record, context));
    }

    /// Reports the gathered records that librdkafka did not take or does not get. For the thread that polls, with no lock held.
    fn report_given_back(&self) {
        for GivenBack { context, record, error } in self.handful.take_given_back() {
            let events = &self.producer.client().context().events;
            // Only a batch that is too large asks for more.
            let _ = events.on_delivery(context, Err(error), &|| record.clone());
        }
    }

    fn send_now(&self, record: RecordRef<'_>, context: Box<DeliveryContext>) -> Result<(), SendError> {
        self.producer.produce(record, context).map_err(|(context, error)| SendError {
            context,
            error: match error {
                ProduceError::Librdkafka(code) => match delivery_error(code) {
                    // It has not been in a batch yet.
                    DeliveryError::BatchTooLarge(error) => DeliveryError::Final(error),
                    error => error,
                },
                ProduceError::ZeroByteInTopic => DeliveryError::Final(PublishError::Broker {
                    code: "InvalidRecord".into(),
                    reason: "the topic's name has a zero byte".into(),
                }),
            },
        })
    }

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

#[cfg(all(test, feature = "mock"))]
pub(crate) mod fatal_error;
#[cfg(test)]
#[cfg(feature = "mock")]
mod tests;
