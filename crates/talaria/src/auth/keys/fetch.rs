//! Requests to key servers.
//!
//! They are few and small, and no device waits for one after it has connected, so a blocking client is enough: each request
//! takes a thread of the runtime's pool, and there are at most [`MAX_REQUESTS`]. Redirects are not followed, because the
//! configuration says where a key comes from. Compressed bodies are never decompressed.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use talaria_protocol::keys::{Document, FetchError, KeyError, LONGEST_DOCUMENT, MinRsaBits, Template};
use tokio::sync::Semaphore;
use ureq::Agent;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use super::config::Config;

/// How many requests run at the same time.
const MAX_REQUESTS: usize = 8;

#[derive(Debug)]
pub(super) struct Fetcher {
    agent: Agent,
    timeout: Duration,
    min_rsa_bits: MinRsaBits,
    slots: Arc<Semaphore>,
}

impl Fetcher {
    pub(super) fn new(config: &Config) -> Self {
        let mut urls = config.template.iter().chain(config.sources.iter().map(|source| &source.uri));
        let mut agent = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .max_response_header_size(16 * 1024)
            .max_idle_connections(MAX_REQUESTS)
            .timeout_global(Some(config.timeout))
            .user_agent("talaria")
            .accept(
                "application/jwk+json, application/jwk-set+json, application/json, application/x-pem-file",
            );
        if urls.any(Template::is_https) {
            agent = agent.tls_config(tls());
        }
        Self {
            agent: agent.build().new_agent(),
            timeout: config.timeout,
            min_rsa_bits: config.min_rsa_bits,
            slots: Arc::new(Semaphore::new(MAX_REQUESTS)),
        }
    }

    /// Fetches and parses a document.
    pub(super) async fn fetch(&self, url: String) -> Result<Document, KeyError> {
        let slot = tokio::time::timeout(self.timeout, Arc::clone(&self.slots).acquire_owned()).await;
        let Ok(Ok(slot)) = slot else { return Err(KeyError::Busy) };
        let (agent, least) = (self.agent.clone(), self.min_rsa_bits);
        let fetching = tokio::task::spawn_blocking(move || {
            let fetched = fetch(&agent, &url, least);
            drop(slot);
            fetched
        });
        match fetching.await {
            Ok(fetched) => fetched,
            // The runtime is being shut down, or the client panicked.
            Err(error) => Err(FetchError::Unreachable(error.to_string().into()).into()),
        }
    }

    /// Starts no more requests.
    pub(super) fn close(&self) {
        self.slots.close();
    }
}

fn fetch(agent: &Agent, url: &str, least: MinRsaBits) -> Result<Document, KeyError> {
    let mut response = agent.get(url).call().map_err(fetch_error)?;
    if response.status() != http::StatusCode::OK {
        return Err(FetchError::Status(response.status().as_u16()).into());
    }
    let content_type = response.headers().get(http::header::CONTENT_TYPE);
    let content_type = content_type.and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let body = response.body_mut().with_config().limit(LONGEST_DOCUMENT as u64).read_to_vec();
    Ok(Document::read(&content_type, &body.map_err(fetch_error)?, least)?)
}

fn fetch_error(error: ureq::Error) -> FetchError {
    match error {
        ureq::Error::Timeout(_) => FetchError::Timeout,
        ureq::Error::BodyExceedsLimit(_) => FetchError::TooLong,
        ureq::Error::Io(error) if error.kind() == io::ErrorKind::TimedOut => FetchError::Timeout,
        ureq::Error::Io(error) => FetchError::Unreachable(error.to_string().into()),
        ureq::Error::BadUri(_) => FetchError::Unreachable("the URL is invalid".into()),
        error => FetchError::Unreachable(error.to_string().into()),
    }
}

/// The system's authorities, and the same cryptography as everywhere else in the gateway.
fn tls() -> TlsConfig {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(%error, "some of the system's certificates cannot be used");
    }
    let roots = found.certs.iter().map(|der| Certificate::from_der(der).to_owned()).collect::<Vec<_>>();
    TlsConfig::builder()
        .root_certs(RootCerts::Specific(Arc::new(roots)))
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .build()
}
