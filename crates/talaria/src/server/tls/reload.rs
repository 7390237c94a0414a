//! Reloads certificates that change while the gateway runs.
//!
//! The files are read every few seconds and compared by digest. Unlike the notifications of a file system, this also
//! notices changes of mounted secrets (links to links) and on network file systems.

use std::fmt;
use std::fs;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use aws_lc_rs::digest::{self, SHA256, SHA256_OUTPUT_LEN};
use rustls::ServerConfig;
use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval};

use super::config::{Config, Loaded};
use super::files::TlsError;
use crate::server::metrics::Connections;

/// How often the files are read.
const PERIOD: Duration = Duration::from_secs(2);

/// The digest of all files together.
type Fingerprint = [u8; SHA256_OUTPUT_LEN];

/// The TLS of one running server.
pub(in crate::server) struct Tls {
    config: Config,
    current: ArcSwap<Loaded>,
    /// The digest of the files when they were read for the first time.
    loaded: Option<Fingerprint>,
}

/// Reloads a server's TLS whenever its files change, and shows when its certificates end. Runs until it is dropped. Existing
/// connections are not affected.
pub(in crate::server) async fn reload(server: &'static str, tls: Arc<Tls>, connections: Arc<Connections>) {
    connections.has_certificates_until(tls.current.load().not_after);
    let mut seen = tls.loaded;
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let config = tls.config.clone();
        let Ok(now) = spawn_blocking(move || fingerprint(&config)).await else { return };
        if now == seen {
            continue;
        }
        seen = now;
        match replace(&tls).await {
            Some(Ok(())) => {
                connections.has_certificates_until(tls.current.load().not_after);
                tracing::info!(server, "certificates reloaded, new connections use them");
            }
            Some(Err(error)) => tracing::warn!(
                server,
                key = format!("{server}.{}", error.key.as_str()),
                %error,
                "changed certificates cannot be used, the previous ones stay in use"
            ),
            None => {}
        }
    }
}

impl Tls {
    /// Reads the files for the first time.
    ///
    /// # Errors
    /// [`TlsError`].
    pub(in crate::server) fn load(config: Config) -> Result<Arc<Self>, TlsError> {
        // Before loading, so that a file that is written in between counts as changed.
        let loaded = fingerprint(&config);
        let current = ArcSwap::from_pointee(config.load()?);
        Ok(Arc::new(Self { config, current, loaded }))
    }

    /// The settings of which it was made.
    pub(in crate::server) fn config(&self) -> &Config {
        &self.config
    }

    /// The configuration for a connection that begins now.
    pub(in crate::server) fn current(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.current.load().config)
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("config", &self.config).finish_non_exhaustive()
    }
}

/// Reads the files; none if the runtime is being shut down.
async fn replace(tls: &Arc<Tls>) -> Option<Result<(), TlsError>> {
    let config = tls.config.clone();
    let loaded = spawn_blocking(move || config.load()).await.ok()?;
    Some(loaded.map(|loaded| tls.current.store(Arc::new(loaded))))
}

/// The digest of all files; none while one of them cannot be read.
fn fingerprint(config: &Config) -> Option<Fingerprint> {
    let mut context = digest::Context::new(&SHA256);
    for file in config.files() {
        let content = fs::read(file).ok()?;
        context.update(&content.len().to_le_bytes());
        context.update(&content);
    }
    context.finish().as_ref().try_into().ok()
}
