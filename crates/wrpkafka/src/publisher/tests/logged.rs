//! What a start says in the log, and what it never says.

use std::fmt::Write as _;

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use super::*;
use crate::config::{Acks, SaslMechanism};

/// Keeps every event's level and fields as one text.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<String>>);

struct Fields<'a>(&'a mut String);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        write!(self.0, " {field}={value:?}").unwrap();
    }
}

impl Subscriber for Log {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn event(&self, event: &Event<'_>) {
        let mut text = self.0.lock();
        write!(text, "{}", event.metadata().level()).unwrap();
        event.record(&mut Fields(&mut text));
        text.push('\n');
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[tokio::test]
async fn every_start_warns_of_brokers_that_are_not_verified_and_none_shows_a_password() {
    let mut config = config(1);
    config.tls.enabled = true;
    config.tls.insecure_skip_verify = true;
    config.sasl.mechanism = Some(SaslMechanism::Plain);
    config.sasl.username = "me".to_owned();
    config.sasl.password = "hunter2".into();
    let publisher = Publisher::with_client(config, Script::default().connect()).unwrap();
    let log = Log::default();
    for starts in 1..=2 {
        tracing::subscriber::with_default(log.clone(), || publisher.start().unwrap());
        publisher.stop(PATIENCE).await;
        let text = log.0.lock();
        assert_eq!(
            text.matches("WARN message=kafka brokers' certificates are not verified").count(),
            starts,
            "{text}"
        );
        assert!(!text.contains("hunter2"), "{text}");
    }
}

#[tokio::test]
async fn every_start_and_change_warns_of_acks_with_which_a_delivered_record_may_be_lost() {
    let log = Log::default();
    for (acks, warning) in [
        (Acks::All, None),
        (Acks::Leader, Some("kafka acks are leader")),
        (Acks::None, Some("kafka acks are none")),
    ] {
        let mut weak = config(1);
        weak.dynamic.acks = acks;
        let publisher = Publisher::with_client(weak.clone(), Script::default().connect()).unwrap();
        for _ in 0..2 {
            tracing::subscriber::with_default(log.clone(), || publisher.start().unwrap());
            publisher.stop(PATIENCE).await;
        }
        let changed = Publisher::with_client(config(1), Script::default().connect()).unwrap();
        tracing::subscriber::with_default(log.clone(), || changed.update_config(weak.dynamic).unwrap());
        let text = std::mem::take(&mut *log.0.lock());
        assert_eq!(
            text.matches("WARN message=kafka acks are").count(),
            if warning.is_some() { 3 } else { 0 }
        );
        assert!(text.contains(warning.unwrap_or_default()), "{text}");
    }
}
