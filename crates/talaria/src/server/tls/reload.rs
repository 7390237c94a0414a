//! Certificates that change while the gateway runs.
//!
//! The files are read again every few seconds and compared by digest, which also notices what the notifications of a
//! file system miss: mounted secrets that are links to links, network file systems.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{self, SHA256, SHA256_OUTPUT_LEN};
use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval};

use super::{Config, Tls, TlsError};

/// How often the files are looked at.
const PERIOD: Duration = Duration::from_secs(2);

/// Stands for what the files hold.
pub(super) type Fingerprint = [u8; SHA256_OUTPUT_LEN];

/// Keeps a server's TLS as its files are; runs until it is dropped. Connections that exist stay as they are.
pub(in crate::server) async fn reload(server: &'static str, tls: Arc<Tls>) {
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
            Some(Ok(())) => tracing::info!(server, "the certificates have changed and are in use"),
            Some(Err(error)) => tracing::warn!(
                server,
                key = format!("{server}.{}", error.key.as_str()),
                %error,
                "the certificates have changed but cannot be used, the old ones stay"
            ),
            None => {}
        }
    }
}

/// Reads the files anew; `None` if the runtime is being shut down.
async fn replace(tls: &Arc<Tls>) -> Option<Result<(), TlsError>> {
    let config = tls.config.clone();
    let loaded = spawn_blocking(move || config.load()).await.ok()?;
    Some(loaded.map(|config| tls.current.store(Arc::new(config))))
}

/// What all files hold, in short; `None` while one of them cannot be read.
pub(super) fn fingerprint(config: &Config) -> Option<Fingerprint> {
    let mut context = digest::Context::new(&SHA256);
    for file in config.files() {
        let content = fs::read(file).ok()?;
        context.update(&content.len().to_le_bytes());
        context.update(&content);
    }
    context.finish().as_ref().try_into().ok()
}
