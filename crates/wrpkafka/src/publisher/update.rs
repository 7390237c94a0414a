//! Another configuration while the publisher runs (contract §8.12).

use std::fmt;
use std::sync::Arc;

use super::{Publisher, Shared, look_up};
use crate::client::BuildError;
use crate::config::{Acks, Config, ConfigError, DynamicConfig, Fault, Sasl, Tls};
use crate::engine::events::build_client;
use crate::engine::instance::ClientInstance;
use crate::engine::worker::Order;
use crate::error::FileError;
use crate::routing::RouteTable;

impl Publisher {
    /// Changes the dynamic configuration, after it was checked as a whole.
    ///
    /// Routes and headers hold from the next message on. For compression, linger, batch size or acks another client is
    /// built, which takes over when the current one has delivered what it holds: no record is lost, none is reordered
    /// within a key, and with acks all none is written twice. Meanwhile records wait, those of low QoS as well. If brokers
    /// are away for 30 s during that, the client's records are handed to the next one; if a broker may have written some
    /// of them, a warning has their number. Of several changes in a row the last one holds.
    ///
    /// # Errors
    /// Every fault of it, or that no client can be built for it. Then everything stays as it was.
    pub fn update_config(&self, dynamic: DynamicConfig) -> Result<(), ConfigError> {
        self.change(|config| config.dynamic = dynamic)
    }

    /// Changes certificates or credentials, as [`update_config`](Publisher::update_config) changes other settings of the
    /// client. A client that the brokers never accepted is replaced at once.
    ///
    /// # Errors
    /// As there; a file that cannot be read is named.
    pub fn update_security(&self, tls: Tls, sasl: Sasl) -> Result<(), ConfigError> {
        self.change(|config| (config.tls, config.sasl) = (tls, sasl))
    }

    /// Changes both at once: all of it, or nothing.
    ///
    /// # Errors
    /// As [`update_config`](Publisher::update_config) and [`update_security`](Publisher::update_security).
    pub fn update(&self, dynamic: DynamicConfig, tls: Tls, sasl: Sasl) -> Result<(), ConfigError> {
        self.change(|config| (config.dynamic, config.tls, config.sasl) = (dynamic, tls, sasl))
    }

    /// Prepares the same change without making it, so that a caller can make it together with others: whatever can fail is
    /// done here.
    ///
    /// # Errors
    /// As [`update`](Publisher::update).
    pub fn prepare_update(
        &self,
        dynamic: DynamicConfig,
        tls: Tls,
        sasl: Sasl,
    ) -> Result<PreparedUpdate, ConfigError> {
        let change = |config: &mut Config| (config.dynamic, config.tls, config.sasl) = (dynamic, tls, sasl);
        let prepared = self.shared.as_ref().map(|shared| Prepared::new(shared, change)).transpose()?;
        Ok(PreparedUpdate(prepared))
    }

    fn change(&self, change: impl FnOnce(&mut Config)) -> Result<(), ConfigError> {
        let Some(shared) = &self.shared else { return Ok(()) };
        let _changing = shared.settings.begin_change();
        Prepared::new(shared, change).map(Prepared::make)
    }
}

/// A change of a publisher that has been checked ([`Publisher::prepare_update`]) and not been made. Dropped, it has no
/// effect. Between its two steps no other change of the same publisher may be made.
#[must_use]
pub struct PreparedUpdate(Option<Prepared>);

struct Prepared {
    shared: Arc<Shared>,
    config: Config,
    routes: RouteTable,
    /// The next client, if the current one cannot have the new settings.
    client: Option<Arc<ClientInstance>>,
}

impl PreparedUpdate {
    /// Makes the change.
    pub fn make(self) {
        if let Some(prepared) = self.0 {
            let shared = Arc::clone(&prepared.shared);
            let _changing = shared.settings.begin_change();
            prepared.make();
        }
    }
}

impl Prepared {
    /// Does what can fail.
    fn new(shared: &Arc<Shared>, change: impl FnOnce(&mut Config)) -> Result<Self, ConfigError> {
        let before = shared.settings.get();
        let mut config = Config::clone(&before);
        change(&mut config);
        let routes = config.compile()?;
        let is_running = shared.threads.lock().is_some();
        let client = if is_running && !same_client(&before, &config) {
            Some(build_client(&shared.engine, &shared.connect, &config).map_err(fault)?)
        } else {
            None
        };
        Ok(Self { shared: Arc::clone(shared), config, routes, client })
    }

    fn make(self) {
        let Self { shared, config, routes, client } = self;
        let before = shared.settings.get();
        // Held until the order is given: a stop meanwhile comes after it.
        let threads = shared.threads.lock();
        if let (Some(threads), Some(next)) = (&*threads, client) {
            shared.engine.limit_records(&config);
            // A thread that has ended needs no client.
            let _ = threads.worker.send(Order::Replace(next));
        }
        let known: Vec<_> = shared.routes.load().topic_names().collect();
        let new = routes.topic_names().filter(|topic| !known.contains(topic)).collect();
        shared.set_routes(routes);
        if let Some(threads) = &*threads {
            look_up(&threads.worker, &config, new);
        }
        if let Some(registry) = threads.as_ref().and_then(|threads| threads.registry.as_ref()) {
            registry.look_again();
        }
        if config.tls != before.tls {
            warn_if_unverified(&config.tls);
        }
        if config.dynamic.acks != before.dynamic.acks {
            warn_of_weak_acks(config.dynamic.acks);
        }
        shared.settings.set(config);
        tracing::info!("kafka configuration updated");
    }
}

impl fmt::Debug for PreparedUpdate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PreparedUpdate").finish_non_exhaustive()
    }
}

impl Shared {
    /// Routes messages by this table, from the next one on.
    fn set_routes(&self, routes: RouteTable) {
        if let Some(schemas) = self.engine.schemas() {
            routes.assign_subjects(&schemas.subjects);
        }
        self.engine.assign_lanes(&routes);
        drop(self.routes.swap(Arc::new(routes)));
        self.engine.forget_unused_lanes();
    }
}

/// Logged at every start, and when the certificates' settings change.
pub(super) fn warn_if_unverified(tls: &Tls) {
    if tls.is_unverified() {
        tracing::warn!("kafka brokers' certificates are not verified: tls.insecureSkipVerify is set");
    }
}

/// Logged at every start, and when they change: what an acknowledgement is worth depends on them (docs/delivery.md).
pub(super) fn warn_of_weak_acks(acks: Acks) {
    match acks {
        Acks::All => {}
        Acks::Leader => tracing::warn!(
            "kafka acks are leader: a record counts as delivered when one broker has it, and is lost if that broker \
             fails before others have copied it; all avoids that"
        ),
        Acks::None => tracing::warn!(
            "kafka acks are none: a record counts as delivered when it is sent, whether or not a broker gets it; \
             all avoids that"
        ),
    }
}

/// Whether the same client serves both configurations.
fn same_client(one: &Config, other: &Config) -> bool {
    let batching = |config: &Config| {
        let DynamicConfig { compression, linger, batch_max_bytes, acks, .. } = config.dynamic.clone();
        (compression, linger, batch_max_bytes, acks)
    };
    one.tls == other.tls && one.sasl == other.sasl && batching(one) == batching(other)
}

fn fault(error: BuildError) -> ConfigError {
    let fault = match error {
        BuildError::File(FileError { key, path, error }) => {
            Fault { key: key.to_owned(), problem: format!("cannot read `{path}`: {error}") }
        }
        BuildError::Tokens(text) => Fault { key: "sasl.oauth2".to_owned(), problem: text },
        BuildError::Settings(text) => Fault { key: "tls".to_owned(), problem: text },
    };
    ConfigError(vec![fault])
}
