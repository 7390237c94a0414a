//! The metrics and log lines of keys (contract §10.12).

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use prometheus::{IntCounterVec, IntGaugeVec};
use talaria_protocol::keys::{Document, KeyError, KeyId, Known, Template};

use super::config::Config;
use crate::telemetry::labels::{HeldLabels, LabelTable, MAX_KEY_IDS, OTHER};
use crate::telemetry::metrics::Metrics;
use crate::telemetry::throttle::Throttle;

/// The `keys_*` families.
#[derive(Clone, Debug)]
pub struct KeyMetrics {
    refreshes: IntCounterVec,
    refreshed_keys: IntGaugeVec,
    refresh_errors: IntCounterVec,
    resolves: IntCounterVec,
    resolve_errors: IntCounterVec,
}

/// What is counted of the keys of one validator. Dropping it removes its series: after a reload with other sources, the old
/// ones have none.
#[derive(Debug)]
pub(super) struct SourceMetrics {
    families: KeyMetrics,
    /// The label `source` of single keys: the template of their URLs.
    template: Arc<str>,
    /// The label `source` of fetched documents.
    sources: Vec<String>,
    /// The label of each key that is kept. A stranger chooses the id, so only ids whose key was found have one.
    labels: Mutex<HashMap<KeyId, HeldLabels<1, ()>>>,
    key_ids: Arc<LabelTable<1, ()>>,
    log: Throttle,
}

impl KeyMetrics {
    /// Registers the `keys_*` families.
    pub fn register(metrics: &Metrics) -> Self {
        let family = metrics.bare();
        let counter = |name, help, labels: &[&str]| family.counter_vec(name, help, labels);
        let resolve = ["source", "keyID"];
        Self {
            refreshes: counter("keys_refresh_total", "Fetches of key sources", &["source"]),
            refreshed_keys: family.gauge_vec(
                "keys_refresh_keys",
                "Keys in the latest document of a source",
                &["source"],
            ),
            refresh_errors: counter("keys_refresh_error_total", "Failed fetches of sources", &["source"]),
            resolves: counter("keys_resolve_total", "Fetches of single keys", &resolve),
            resolve_errors: counter("keys_resolve_error_total", "Failed fetches of single keys", &resolve),
        }
    }

    /// The metrics of a validator's keys.
    pub(super) fn of(&self, config: &Config) -> SourceMetrics {
        let template: Arc<str> = config.template.as_ref().map(ToString::to_string).unwrap_or_default().into();
        let (families, source) =
            ([self.resolves.clone(), self.resolve_errors.clone()], Arc::clone(&template));
        let remove = move |[key_id]: [&str; 1]| {
            // An error says that there is no such series.
            families.iter().for_each(|family| drop(family.remove_label_values(&[&source, key_id])));
        };
        SourceMetrics {
            families: self.clone(),
            template,
            sources: config.sources.iter().map(|source| source.uri.to_string()).collect(),
            labels: Mutex::default(),
            key_ids: LabelTable::new(MAX_KEY_IDS, |_| (), remove),
            log: Throttle::new(),
        }
    }
}

impl SourceMetrics {
    /// A document was fetched. Warns of keys that are used but should be replaced (contract §6.4, §14.28).
    pub(super) fn fetched(&self, source: &Template, document: &Document) {
        let uri = source.to_string();
        if document.has_private_key() {
            tracing::warn!(
                uri,
                "the key server returns a private key: everyone who can reach it can sign tokens"
            );
        }
        if let Some(bits) = document.weak_rsa_bits() {
            tracing::warn!(
                uri,
                bits,
                "an RSA key is shorter than 2048 bits and may be forged, replace it by a longer one"
            );
        }
    }

    /// The fetch of a key has ended.
    pub(super) fn resolved(&self, id: &KeyId, outcome: &Result<Known, KeyError>) {
        let (uri, families) = (&*self.template, &self.families);
        let key_id = id.as_str();
        let mut labels = self.labels.lock();
        if outcome.is_ok() && !labels.contains_key(id) {
            labels.insert(id.clone(), self.key_ids.hold([key_id]));
        }
        let label = labels.get(id).map_or(OTHER, |label| label.values()[0]);
        families.resolves.with_label_values(&[uri, label]).inc();
        if outcome.is_err() {
            families.resolve_errors.with_label_values(&[uri, label]).inc();
        }
        drop(labels);
        match outcome {
            Ok(_) => tracing::info!(uri, keyID = key_id, "key resolve"),
            Err(error) => {
                if let Some(left_out) = self.log.admit() {
                    tracing::error!(uri, keyID = key_id, %error, left_out, "key resolve");
                }
            }
        }
    }

    /// The fetch of a source has ended.
    pub(super) fn refreshed(&self, source: &Template, error: Option<&KeyError>, keys: Option<usize>) {
        let (uri, families) = (source.to_string(), &self.families);
        families.refreshes.with_label_values(&[&uri]).inc();
        if let Some(keys) = keys {
            families.refreshed_keys.with_label_values(&[&uri]).set(keys as i64);
            tracing::info!(uri, keys, "key refresh");
        }
        if let Some(error) = error {
            families.refresh_errors.with_label_values(&[&uri]).inc();
            tracing::warn!(uri, %error, "key refresh failed, the previous keys stay in use");
        }
    }

    /// Removes the labels of keys that are not kept any more.
    pub(super) fn keep_labels(&self, is_known: impl Fn(&KeyId) -> bool) {
        self.labels.lock().retain(|id, _| is_known(id));
    }
}

impl Drop for SourceMetrics {
    fn drop(&mut self) {
        let KeyMetrics { refreshes, refreshed_keys, refresh_errors, resolves, resolve_errors } =
            &self.families;
        // Each label that is held removes its own series. An error says that there is no such series.
        self.labels.get_mut().clear();
        for family in [resolves, resolve_errors] {
            drop(family.remove_label_values(&[&self.template, OTHER]));
        }
        for source in &self.sources {
            drop(refreshes.remove_label_values(&[source]));
            drop(refreshed_keys.remove_label_values(&[source]));
            drop(refresh_errors.remove_label_values(&[source]));
        }
    }
}
