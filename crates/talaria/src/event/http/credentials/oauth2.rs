//! Access tokens of OAuth 2.0 by client credentials (RFC 6749 §4.4).
//!
//! A token is kept until shortly before it expires and fetched by one request at a time, on a thread of the runtime's pool.
//! After a failure the next request waits, longer each time; events get the old token as long as it is valid. Neither the secret
//! nor a token is logged. Start reading at [`TokenSource::header`].

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use ::http::{HeaderValue, StatusCode, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::FutureExt as _;
use futures_util::future::Shared;
use parking_lot::Mutex;
use serde::Deserialize;
use tokio::time::Instant;
use ureq::Agent;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use super::super::watched_files::read;
use crate::event::config::OAuth2Config;

/// The time limit of a request for a token.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The longest answer that is read, in bytes.
const MAX_ANSWER: u64 = 64 * 1024;

/// How long a token is valid if the answer does not say so.
const DEFAULT_LIFE: Duration = Duration::from_secs(300);

/// What is believed of the life of a token, in seconds. Below it, each event would fetch one.
const LIVES: (f64, f64) = (5.0, 24.0 * 60.0 * 60.0);

/// A token is replaced so long before it expires, or in the last tenth of its life.
const RENEWED_BEFORE: Duration = Duration::from_secs(60);

/// The times between two requests after failures; they double.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// The tokens of one receiver.
pub(super) struct TokenSource {
    config: OAuth2Config,
    agent: Agent,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    token: Option<Token>,
    /// The request that is under way.
    fetching: Option<Fetching>,
    failures: u32,
    /// No request begins before it.
    not_before: Option<Instant>,
}

type Fetching = Shared<Pin<Box<dyn Future<Output = ()> + Send>>>;

struct Token {
    header: HeaderValue,
    renew_at: Instant,
    expires_at: Instant,
}

/// The answer of a token server (RFC 6749 §5.1).
#[derive(Deserialize)]
struct Answer {
    access_token: String,
    token_type: String,
    expires_in: Option<f64>,
}

/// Why there is no token. The text does not show secrets.
#[derive(Debug, thiserror::Error)]
enum TokenFetchError {
    #[error("the file of the client's secret cannot be used: {0}")]
    Secret(io::Error),
    #[error("the request failed: {0}")]
    Request(Box<ureq::Error>),
    #[error("the token server answered with {0}")]
    Status(StatusCode),
    #[error("the answer is not that of a token server")]
    Answer,
    #[error("the token is not of the type Bearer")]
    Type,
}

impl TokenSource {
    pub(super) fn new(config: OAuth2Config) -> Arc<Self> {
        let mut agent = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .max_response_header_size(16 * 1024)
            .timeout_global(Some(TIMEOUT))
            .user_agent("talaria")
            .accept("application/json");
        if config.token_url.starts_with("https:") {
            agent = agent.tls_config(tls());
        }
        Arc::new(Self { config, agent: agent.build().new_agent(), state: Mutex::default() })
    }

    /// The value of `Authorization`; none if there is no valid token and none can be fetched now.
    pub(super) async fn header(self: &Arc<Self>) -> Option<HeaderValue> {
        let fetching = {
            let mut state = self.state.lock();
            let now = Instant::now();
            if let Some(token) = state.token.as_ref().filter(|token| now < token.renew_at) {
                return Some(token.header.clone());
            }
            let may_begin = state.not_before.is_none_or(|time| time <= now);
            if state.fetching.is_none() && may_begin {
                state.fetching = Some(self.begin());
            }
            if let Some(token) = state.token.as_ref().filter(|token| now < token.expires_at) {
                return Some(token.header.clone());
            }
            state.fetching.clone()?
        };
        fetching.await;
        let state = self.state.lock();
        let token = state.token.as_ref().filter(|token| Instant::now() < token.expires_at);
        token.map(|token| token.header.clone())
    }

    /// The same, if it is known and need not be renewed.
    pub(super) fn header_now(&self) -> Option<HeaderValue> {
        let state = self.state.lock();
        let token = state.token.as_ref().filter(|token| Instant::now() < token.renew_at);
        token.map(|token| token.header.clone())
    }

    /// Forgets a token that the receiver has refused, unless another one has taken its place.
    pub(super) fn refused(&self, header: &HeaderValue) {
        let mut state = self.state.lock();
        state.token = state.token.take().filter(|token| token.header != header);
    }

    /// Starts a request that goes on although its caller may leave.
    fn begin(self: &Arc<Self>) -> Fetching {
        let source = Arc::clone(self);
        let task = tokio::spawn(async move {
            let asking = Arc::clone(&source);
            let fetched = tokio::task::spawn_blocking(move || asking.fetch()).await;
            source.end(fetched.unwrap_or(Err(TokenFetchError::Answer)));
        });
        let fetching: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(task.map(drop));
        fetching.shared()
    }

    fn end(&self, fetched: Result<Token, TokenFetchError>) {
        let url = &*self.config.token_url;
        let mut state = self.state.lock();
        state.fetching = None;
        match fetched {
            Ok(token) => {
                if state.failures > 0 {
                    tracing::info!(url, "access token for event receivers fetched again");
                }
                (state.token, state.failures, state.not_before) = (Some(token), 0, None);
            }
            Err(error) => {
                let pause = FIRST_PAUSE.saturating_mul(1 << state.failures.min(6)).min(LONGEST_PAUSE);
                state.failures = state.failures.saturating_add(1);
                state.not_before = Some(Instant::now() + pause);
                if state.failures == 1 || pause == LONGEST_PAUSE {
                    tracing::error!(url, %error, "no access token for event receivers, events wait for their next attempt");
                }
            }
        }
    }

    /// Blocks its thread.
    fn fetch(&self) -> Result<Token, TokenFetchError> {
        let secret = read(&self.config.client_secret_file).map_err(TokenFetchError::Secret)?;
        let secret = String::from_utf8(secret)
            .map_err(|error| TokenFetchError::Secret(io::Error::other(error.utf8_error())))?;
        let scope = self.config.scopes.join(" ");
        let mut form = vec![("grant_type", "client_credentials")];
        if !scope.is_empty() {
            form.push(("scope", &scope));
        }
        let authorization = basic(&self.config.client_id, secret.trim_end_matches(['\r', '\n']));
        let asked = Instant::now();
        let request = self.agent.post(&*self.config.token_url).header(header::AUTHORIZATION, authorization);
        let mut response =
            request.send_form(form).map_err(|error| TokenFetchError::Request(Box::new(error)))?;
        if response.status() != StatusCode::OK {
            return Err(TokenFetchError::Status(response.status()));
        }
        let body = response.body_mut().with_config().limit(MAX_ANSWER).read_to_vec();
        let body = body.map_err(|error| TokenFetchError::Request(Box::new(error)))?;
        Token::read(&body, asked)
    }
}

impl Token {
    fn read(body: &[u8], asked: Instant) -> Result<Self, TokenFetchError> {
        let answer: Answer = serde_json::from_slice(body).map_err(|_| TokenFetchError::Answer)?;
        if !answer.token_type.eq_ignore_ascii_case("bearer") {
            return Err(TokenFetchError::Type);
        }
        let mut header = HeaderValue::try_from(format!("Bearer {}", answer.access_token))
            .map_err(|_| TokenFetchError::Answer)?;
        header.set_sensitive(true);
        let told = answer.expires_in.map(|seconds| Duration::from_secs_f64(seconds.clamp(LIVES.0, LIVES.1)));
        let life = told.unwrap_or(DEFAULT_LIFE);
        let renew_after = life - RENEWED_BEFORE.min(life / 10);
        Ok(Self { header, renew_at: asked + renew_after, expires_at: asked + life })
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// RFC 6749 §2.3.1: both are encoded as in a form.
fn basic(id: &str, secret: &str) -> String {
    let mut pair = String::new();
    encode(&mut pair, id);
    pair.push(':');
    encode(&mut pair, secret);
    format!("Basic {}", STANDARD.encode(pair))
}

fn encode(out: &mut String, text: &str) {
    use std::fmt::Write as _;
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

/// The system's authorities, and the same cryptography as everywhere else in the gateway.
fn tls() -> TlsConfig {
    let found = rustls_native_certs::load_native_certs();
    let roots = found.certs.iter().map(|der| Certificate::from_der(der).to_owned()).collect::<Vec<_>>();
    TlsConfig::builder()
        .root_certs(RootCerts::Specific(Arc::new(roots)))
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_replaced_shortly_before_it_expires() {
        let asked = Instant::now();
        for (expires_in, renewed, expires) in [
            (r#","expires_in":3600"#, 3540, 3600),
            (r#","expires_in":100"#, 90, 100),
            ("", 270, 300),
            (r#","expires_in":-5"#, 4, 5),
            (r#","expires_in":1e300"#, 86340, 86400),
            (r#","expires_in":31536000"#, 86340, 86400),
        ] {
            let body = format!(r#"{{"access_token":"t","token_type":"bearer"{expires_in}}}"#);
            let token = Token::read(body.as_bytes(), asked).unwrap();
            assert_eq!((token.renew_at - asked).as_secs(), renewed, "{expires_in}");
            assert_eq!((token.expires_at - asked).as_secs(), expires, "{expires_in}");
            assert_eq!(token.header, "Bearer t");
        }
    }

    #[test]
    fn what_is_no_bearer_token_is_refused() {
        for body in [
            "",
            "[]",
            r#"{"access_token":"t"}"#,
            r#"{"access_token":"t","token_type":"mac"}"#,
            r#"{"access_token":"a\nb","token_type":"bearer"}"#,
            r#"{"error":"invalid_client"}"#,
        ] {
            assert!(Token::read(body.as_bytes(), Instant::now()).is_err(), "{body}");
        }
    }

    /// RFC 6749 §2.3.1
    #[test]
    fn id_and_secret_are_encoded_as_in_a_form() {
        assert_eq!(basic("a:b", "c d"), format!("Basic {}", STANDARD.encode("a%3Ab:c%20d")));
    }
}
