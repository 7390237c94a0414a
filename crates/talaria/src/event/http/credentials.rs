//! What single event receivers are shown with each request (`device.outbound.credentials`, contract §5.10).
//!
//! The files are read at the start and again when they change. Deliberately absent: the `authKey`, which all configured
//! receivers get (`exchange.rs`). Start reading at `Credentials::headers`.

mod oauth2;
mod signature;

use std::io;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use ::http::{HeaderMap, HeaderValue};
use arc_swap::ArcSwapOption;
use futures_util::future::join_all;
use talaria_protocol::url::Address;
use tokio::time::Instant;

use self::oauth2::TokenSource;
pub use self::signature::KeysError;
use self::signature::{Keys, Signed};
use super::dial;
use super::post_error::PostError;
use super::watched_files::{WatchedFiles, read};
use crate::event::config::{CredentialsConfig, SignatureConfig, UrlPrefix};

/// The credentials of all receivers that have any.
pub(super) struct Credentials {
    entries: Vec<Entry>,
    /// Differs between two starts of the gateway.
    instance: u64,
    start: Instant,
}

struct Entry {
    at: UrlPrefix,
    signer: Option<Arc<Signer>>,
    tokens: Option<Arc<TokenSource>>,
}

/// Signs requests with the keys of a file.
struct Signer {
    config: SignatureConfig,
    /// None while the file could never be read.
    keys: ArcSwapOption<Keys>,
}

/// A file that cannot be used. The text has neither its content nor a part of it.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It does not exist or may not be read.
    #[error("is not readable: {0}")]
    Unreadable(#[from] io::Error),
    /// Its content is not what is expected.
    #[error(transparent)]
    Keys(#[from] KeysError),
}

/// Checks the files that a configuration names, so that what is wrong with them is found before the start.
///
/// # Errors
/// The key below the entry of the configuration, and what is wrong.
pub fn check_files(config: &CredentialsConfig) -> Result<(), Vec<(&'static str, String)>> {
    let mut faults = Vec::new();
    if let Some(signature) = &config.signature
        && let Err(error) = read_keys(signature)
    {
        faults.push(("signature.keyFile", format!("names {}, which {error}", signature.key_file.display())));
    }
    if let Some(oauth2) = &config.oauth2
        && let Err(error) = read(&oauth2.client_secret_file)
    {
        let file = oauth2.client_secret_file.display();
        faults.push(("oauth2.clientSecretFile", format!("names {file}, which {}", FileError::from(error))));
    }
    if let Some(tls) = &config.tls
        && let Err(error) = dial::check_tls(tls)
    {
        faults.push((error.key, error.to_string()));
    }
    if faults.is_empty() { Ok(()) } else { Err(faults) }
}

impl Credentials {
    pub(super) fn new(config: &[CredentialsConfig], instance: u64) -> Self {
        let entry = |entry: &CredentialsConfig| Entry {
            at: entry.at.clone(),
            signer: entry.signature.clone().map(|config| Arc::new(Signer::new(config))),
            tokens: entry.oauth2.clone().map(TokenSource::new),
        };
        Self { entries: config.iter().map(entry).collect(), instance, start: Instant::now() }
    }

    /// Adds the headers of a request to this URL. `deadline` is that of the event, which stays the same for all attempts.
    ///
    /// # Errors
    /// [`PostError::Credentials`] if they are not available.
    pub(super) fn headers(
        &self,
        address: &Address,
        body: &[u8],
        deadline: Instant,
        headers: &mut HeaderMap<HeaderValue>,
    ) -> Result<(), PostError> {
        let Some(signer) = self.most_specific(address, |entry| entry.signer.as_ref()) else { return Ok(()) };
        let keys = signer.keys.load();
        let keys =
            keys.as_deref().ok_or(PostError::Credentials("the signature's key file cannot be used"))?;
        let id = self.id(body, deadline);
        keys.sign(&Signed { id: &id, at: now(), body }, headers);
        Ok(())
    }

    /// The value of `Authorization` for a request to this URL, if it needs an access token.
    ///
    /// # Errors
    /// [`PostError::Credentials`] if there is none.
    pub(super) async fn bearer(&self, address: &Address) -> Result<Option<HeaderValue>, PostError> {
        let Some(tokens) = self.most_specific(address, |entry| entry.tokens.as_ref()) else {
            return Ok(None);
        };
        tokens.header().await.map(Some).ok_or(PostError::Credentials("no access token could be fetched"))
    }

    /// The same, without waiting.
    ///
    /// # Errors
    /// [`PostError::Credentials`] if the token has to be fetched first.
    pub(super) fn bearer_now(&self, address: &Address) -> Result<Option<HeaderValue>, PostError> {
        let Some(tokens) = self.most_specific(address, |entry| entry.tokens.as_ref()) else {
            return Ok(None);
        };
        tokens.header_now().map(Some).ok_or(PostError::Credentials("no access token was fetched yet"))
    }

    /// Forgets a token that the receiver has refused, unless another one has taken its place.
    pub(super) fn refused(&self, address: &Address, bearer: &HeaderValue) {
        if let Some(tokens) = self.most_specific(address, |entry| entry.tokens.as_ref()) {
            tokens.refused(bearer);
        }
    }

    /// Reads the files again whenever they change.
    pub(super) async fn watch(&self) {
        let signers = self.entries.iter().filter_map(|entry| entry.signer.as_deref());
        join_all(signers.map(Signer::watch)).await;
    }

    /// What the entry with the longest path has that has it.
    fn most_specific<'a, T>(
        &'a self,
        address: &Address,
        get: impl Fn(&'a Entry) -> Option<&'a T>,
    ) -> Option<&'a T> {
        let found = self.entries.iter().filter_map(|entry| Some((entry.at.covers(address)?, get(entry)?)));
        found.max_by_key(|(length, _)| *length).map(|(_, found)| found)
    }

    /// The id of an event, the same for all its attempts and all its receivers: no two events that live at the same time have
    /// their bodies at the same place, and those that live one after the other have different deadlines.
    fn id(&self, body: &[u8], deadline: Instant) -> String {
        let since_start = deadline.saturating_duration_since(self.start).as_nanos();
        format!("msg_{:016x}{since_start:x}{:x}", self.instance, body.as_ptr().addr())
    }
}

impl Signer {
    fn new(config: SignatureConfig) -> Self {
        let keys = read_keys(&config).inspect_err(|error| {
            let file = config.key_file.display();
            tracing::error!(%file, %error, "signature keys cannot be used, events for these receivers are not sent");
        });
        Self { config, keys: ArcSwapOption::new(keys.ok().map(Arc::new)) }
    }

    async fn watch(&self) {
        let mut files = WatchedFiles::new(vec![self.config.key_file.clone()]);
        loop {
            files.changed().await;
            let config = self.config.clone();
            let Ok(read) = tokio::task::spawn_blocking(move || read_keys(&config)).await else { return };
            let file = self.config.key_file.display();
            match read {
                Ok(keys) => {
                    self.keys.store(Some(Arc::new(keys)));
                    tracing::info!(%file, "signature keys reloaded");
                }
                Err(error) => {
                    tracing::warn!(%file, %error, "changed signature keys cannot be used, the previous ones stay in use");
                }
            }
        }
    }
}

fn read_keys(config: &SignatureConfig) -> Result<Keys, FileError> {
    Ok(Keys::parse(&read(&config.key_file)?, config.format)?)
}

/// Seconds since 1970.
#[expect(
    clippy::disallowed_methods,
    reason = "a signature holds the time of day; it is read here and passed on"
)]
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
