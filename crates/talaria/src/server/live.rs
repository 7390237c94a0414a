//! The settings of a server that change while it runs (contract §14.7).
//!
//! A connection has the settings that were current when it was accepted, and keeps them.

use std::sync::Arc;

use tokio::sync::watch;

use super::Config;
use super::tls::Tls;
use crate::live::{Change, Live, PrepareError, Setting};

/// The settings of a server, with which its next connection is accepted.
#[derive(Debug)]
pub struct ServerSettings {
    name: &'static str,
    current: watch::Sender<Arc<Current>>,
}

/// The settings of some connections.
#[derive(Debug)]
pub(super) struct Current {
    pub(super) config: Config,
    pub(super) tls: Option<Arc<Tls>>,
}

impl ServerSettings {
    pub(super) fn new(name: &'static str, config: Config, tls: Option<Arc<Tls>>) -> Arc<Self> {
        Arc::new(Self { name, current: watch::Sender::new(Arc::new(Current { config, tls })) })
    }

    /// The server's name, which is also its section in the configuration.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The current settings, and those that come.
    pub(super) fn watch(&self) -> watch::Receiver<Arc<Current>> {
        self.current.subscribe()
    }
}

impl Live<Config> for ServerSettings {
    const SETTINGS: &'static [Setting] = &[
        Setting::live(""),
        Setting::at_start("address", "the server listens there"),
        Setting::at_start("maxConnections", "the open files of the process are divided at the start"),
    ];

    fn prepare(self: &Arc<Self>, settings: &Config) -> Result<Change, PrepareError> {
        let before = Arc::clone(&self.current.borrow());
        let same_tls = before.tls.as_ref().filter(|tls| Some(tls.config()) == settings.tls.as_ref());
        let tls =
            match (same_tls, &settings.tls) {
                (Some(tls), _) => Some(Arc::clone(tls)),
                (None, Some(tls)) => Some(Tls::load(tls.clone()).map_err(|error| {
                    PrepareError(format!("{}.{}: {error}", self.name, error.key.as_str()))
                })?),
                (None, None) => None,
            };
        let config = Config {
            address: before.config.address.clone(),
            max_connections: before.config.max_connections,
            bodies: before.config.bodies.clone(),
            handshakes: before.config.handshakes.clone(),
            ..settings.clone()
        };
        let server = Arc::clone(self);
        Ok(Box::new(move || {
            server.current.send_replace(Arc::new(Current { config, tls }));
        }))
    }
}
