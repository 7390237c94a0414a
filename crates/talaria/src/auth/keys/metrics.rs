//! The metrics and log lines of keys (contract §10.12).

use std::collections::HashSet;
use std::sync::Arc;

use parking_lot::Mutex;
use prometheus::{IntCounterVec, IntGaugeVec};
use talaria_protocol::keys::{Document, KeyError, KeyId, Known, Template};

use crate::telemetry::metrics::Metrics;
use crate::telemetry::throttle::Throttle;

/// How many key ids get a series of their own. A stranger chooses the id, so only ids whose key was found get one.
const MAX_LABELS: usize = 64;

/// The label of all other key ids.
const OTHER: &str = "other";

/// Handles of the key metrics.
#[derive(Clone, Debug)]
pub struct KeyMetrics {
    refreshes: IntCounterVec,
    refreshed_keys: IntGaugeVec,
    refresh_errors: IntCounterVec,
    resolves: IntCounterVec,
    resolve_errors: IntCounterVec,
    labels: Arc<Mutex<HashSet<KeyId>>>,
    log: Arc<Throttle>,
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
            labels: Arc::default(),
            log: Arc::new(Throttle::new()),
        }
    }

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
    pub(super) fn resolved(&self, source: Option<&Template>, id: &KeyId, outcome: &Result<Known, KeyError>) {
        let uri = source.map(ToString::to_string).unwrap_or_default();
        let label = if self.has_label(id, outcome.is_ok()) { id.as_str() } else { OTHER };
        self.resolves.with_label_values(&[&uri, label]).inc();
        let key_id = id.as_str();
        match outcome {
            Ok(_) => tracing::info!(uri, keyID = key_id, "key resolve"),
            Err(error) => {
                self.resolve_errors.with_label_values(&[&uri, label]).inc();
                if let Some(left_out) = self.log.admit() {
                    tracing::error!(uri, keyID = key_id, %error, left_out, "key resolve");
                }
            }
        }
    }

    /// The fetch of a source has ended.
    pub(super) fn refreshed(&self, source: &Template, error: Option<&KeyError>, keys: Option<usize>) {
        let uri = source.to_string();
        self.refreshes.with_label_values(&[&uri]).inc();
        if let Some(keys) = keys {
            self.refreshed_keys.with_label_values(&[&uri]).set(keys as i64);
            tracing::info!(uri, keys, "key refresh");
        }
        if let Some(error) = error {
            self.refresh_errors.with_label_values(&[&uri]).inc();
            tracing::warn!(uri, %error, "key refresh failed, the previous keys stay in use");
        }
    }

    fn has_label(&self, id: &KeyId, is_found: bool) -> bool {
        let mut labels = self.labels.lock();
        if is_found && labels.len() < MAX_LABELS {
            labels.insert(id.clone());
        }
        labels.contains(id)
    }
}
