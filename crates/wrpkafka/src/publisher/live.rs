//! Another configuration while the publisher runs.

use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use super::{Life, Publisher, Running};
use crate::client::BuildError;
use crate::config::{Config, ConfigError, DynamicConfig, Fault, Sasl, Tls};
use crate::engine::worker::Order;
use crate::error::FileError;
use crate::problem::ConnectionProblem;

/// The configuration as it is now.
pub(crate) struct Settings {
    current: ArcSwap<Config>,
    /// Held while it is changed: one change after the other.
    changing: Mutex<()>,
}

impl Settings {
    pub(crate) fn new(config: Config) -> Settings {
        Settings { current: ArcSwap::from_pointee(config), changing: Mutex::new(()) }
    }

    pub(crate) fn get(&self) -> Arc<Config> {
        self.current.load_full()
    }
}

impl Publisher {
    /// Takes up another dynamic configuration, after it was validated as a whole.
    ///
    /// Routes and headers hold from the next message on. For compression, linger, batch size or acks another client is
    /// built, which takes over when the present one has delivered what it holds: nothing is lost, nothing is reordered
    /// within a key, and nothing is doubled with acks all. Meanwhile records wait, those of low QoS as well. If brokers
    /// are away for 30 s during that, the client's records are taken over as they are; those of which a broker may have
    /// written some are then counted in a warning. Of several changes in a row the last one holds.
    ///
    /// # Errors
    /// Every fault of it, or that no client can be built for it. Then everything stays as it was.
    pub fn update_config(&self, dynamic: DynamicConfig) -> Result<(), ConfigError> {
        self.change(|config| config.dynamic = dynamic)
    }

    /// Takes up other certificates or credentials, as [`update_config`](Publisher::update_config) does other settings
    /// of the client. A client that the brokers never let in is replaced at once.
    ///
    /// # Errors
    /// As there; a file that cannot be read is named.
    pub fn update_security(&self, tls: Tls, sasl: Sasl) -> Result<(), ConfigError> {
        self.change(|config| (config.tls, config.sasl) = (tls, sasl))
    }

    /// Both at once: all of it is taken up, or nothing.
    ///
    /// # Errors
    /// As [`update_config`](Publisher::update_config) and [`update_security`](Publisher::update_security).
    pub fn update(&self, dynamic: DynamicConfig, tls: Tls, sasl: Sasl) -> Result<(), ConfigError> {
        self.change(|config| (config.dynamic, config.tls, config.sasl) = (dynamic, tls, sasl))
    }

    /// What keeps the publisher from its brokers, if anything does. Gone when one of them has taken a record, or was
    /// connected to by the latest report ([`Config::statistics_interval`]).
    #[must_use]
    pub fn problem(&self) -> Option<ConnectionProblem> {
        self.shared.as_ref().and_then(|shared| shared.engine.problem())
    }

    /// The number of the client that takes records; none while one takes over from another.
    #[cfg(test)]
    pub(crate) fn serving(&self) -> Option<u64> {
        self.shared.as_ref().and_then(|shared| shared.engine.serving())
    }

    fn change(&self, change: impl FnOnce(&mut Config)) -> Result<(), ConfigError> {
        let Some(shared) = &self.shared else { return Ok(()) };
        let _changing = shared.settings.changing.lock();
        let before = shared.settings.get();
        let mut config = Config::clone(&before);
        change(&mut config);
        let routes = config.compile()?;
        // Held until the order is given: a stop meanwhile comes after it.
        let life = shared.life.lock();
        if let (Life::Running(running), false) = (&*life, same_client(&before, &config)) {
            let next = shared.engine.build(&shared.connect, &config).map_err(fault)?;
            shared.engine.limit_records(&config);
            // A thread that has ended needs no client.
            let _ = running.control.send(Order::Replace(next));
        }
        shared.engine.take_up(routes);
        if let Life::Running(Running { registry_thread: Some(registry_thread), .. }) = &*life {
            registry_thread.look_again();
        }
        if config.tls != before.tls {
            warn_if_unverified(&config.tls);
        }
        shared.settings.current.store(Arc::new(config));
        tracing::info!("kafka configuration updated");
        Ok(())
    }
}

/// Logged at every start, and when the certificates' settings change.
pub(super) fn warn_if_unverified(tls: &Tls) {
    if tls.is_unverified() {
        tracing::warn!("kafka brokers' certificates are not verified: tls.insecureSkipVerify is set");
    }
}

/// Whether the same client serves both.
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
        BuildError::Refused(text) => Fault { key: "tls".to_owned(), problem: text },
    };
    ConfigError(vec![fault])
}
