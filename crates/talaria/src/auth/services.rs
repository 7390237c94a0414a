//! Which services may use the REST API: those with a basic key or with a token that allows the request, or all services if
//! neither is configured.

use std::net::IpAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use http::header::AUTHORIZATION;
use http::{HeaderMap, Method};
use serde_json::Value;
use tracing::debug;

use super::attempts::{self, Attempts};
use super::basic::BasicKeys;
use super::capabilities::Capabilities;
use super::error::{AuthError, BASIC_CHALLENGE, BASIC_OR_BEARER_CHALLENGE, BEARER_CHALLENGE};
use super::header;
use super::jwt::{self, Validator};
use super::keys::KeyMetrics;
use super::reason::{Doubt, FailureCounter, Reason};
use crate::live::PrepareError;
use crate::telemetry::metrics::Metrics;

/// The credentials that the API accepts (`inbound`).
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// Basic keys (`authKey`).
    pub keys: Option<BasicKeys>,
    /// Tokens (`jwt`).
    pub tokens: Option<Tokens>,
    /// How many failed attempts are allowed (`throttle`).
    pub attempts: attempts::Config,
}

/// Tokens of services.
#[derive(Clone, Debug)]
pub struct Tokens {
    /// How tokens are checked.
    pub jwt: jwt::Config,
    /// The capabilities that they need.
    pub capabilities: Capabilities,
}

/// The parts of a request to the API that decide whether it is authorized.
#[derive(Clone, Copy, Debug)]
pub struct RequestHead<'a> {
    /// Its method.
    pub method: &'a Method,
    /// Its path.
    pub path: &'a str,
    /// Its headers.
    pub headers: &'a HeaderMap,
    /// The client's address, if it is known.
    pub peer: Option<IpAddr>,
}

/// How a request was authorized.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// Without credentials: none are configured.
    Anonymous,
    /// With a basic key.
    Basic,
    /// With a token that allows the request.
    Bearer {
        /// The claim `sub`; empty without one.
        subject: Box<str>,
    },
}

/// Checks the credentials of requests to the API.
#[derive(Debug)]
pub struct ServiceAuth {
    settings: ArcSwap<Settings>,
    key_metrics: KeyMetrics,
    failures: FailureCounter,
}

/// What decides about a request that arrives now.
#[derive(Debug)]
struct Settings {
    keys: Option<BasicKeys>,
    tokens: Option<(Arc<Validator>, Capabilities)>,
    attempts: Arc<Attempts>,
}

impl ServiceAuth {
    /// Starts to fetch keys, if there are any. Needs a tokio runtime.
    pub fn start(config: &Config, metrics: &Metrics) -> Self {
        let key_metrics = KeyMetrics::register(metrics);
        let tokens = config.tokens.as_ref().map(|tokens| {
            let validator = Validator::start(&tokens.jwt, &key_metrics);
            (Arc::new(validator), tokens.capabilities.clone())
        });
        let attempts = Arc::new(Attempts::new(config.attempts));
        Self {
            settings: ArcSwap::from_pointee(Settings { keys: config.keys.clone(), tokens, attempts }),
            key_metrics,
            failures: FailureCounter::register(metrics, "api"),
        }
    }

    /// Prepares a change to other credentials. The failed attempts of each address stay counted if their limit is the same.
    ///
    /// # Errors
    /// [`PrepareError`].
    pub fn prepare(&self, config: &Config) -> Result<impl FnOnce(&Self) + Send + use<>, PrepareError> {
        let before = self.settings.load();
        let tokens = match &config.tokens {
            Some(tokens) => {
                let validator = before.tokens.as_ref().map(|(validator, _)| validator);
                let validator = Validator::changed(validator, &tokens.jwt, &self.key_metrics)?;
                Some((validator, tokens.capabilities.clone()))
            }
            None => None,
        };
        let attempts = if *before.attempts.config() == config.attempts {
            Arc::clone(&before.attempts)
        } else {
            Arc::new(Attempts::new(config.attempts))
        };
        let settings = Arc::new(Settings { keys: config.keys.clone(), tokens, attempts });
        Ok(move |auth: &Self| auth.settings.store(settings))
    }

    /// Checks whether a request is authorized, and counts it if it is not.
    ///
    /// # Errors
    /// Why it is not.
    pub async fn check(&self, request: RequestHead<'_>) -> Result<Caller, AuthError> {
        let settings = self.settings.load_full();
        if settings.keys.is_none() && settings.tokens.is_none() {
            return Ok(Caller::Anonymous);
        }
        // No caller waits before its credentials are checked: others of its address may have caused the wait.
        let authenticated = settings.authenticate(request).await;
        authenticated.map_err(|(reason, error)| self.rejected(&settings, request.peer, reason, error))
    }

    /// The challenge of a 401.
    pub fn challenge(&self) -> &'static str {
        let settings = self.settings.load();
        match (&settings.keys, &settings.tokens) {
            (_, None) => BASIC_CHALLENGE,
            (None, Some(_)) => BEARER_CHALLENGE,
            (Some(_), Some(_)) => BASIC_OR_BEARER_CHALLENGE,
        }
    }

    /// Counts a failure, and gives the error for its response: of an address that has to wait, all credentials that may
    /// be guessed get the same one.
    fn rejected(
        &self,
        settings: &Settings,
        peer: Option<IpAddr>,
        reason: Reason,
        error: AuthError,
    ) -> AuthError {
        let wait = peer.map(|peer| match reason.doubt() {
            Doubt::Guess => settings.attempts.failed(peer),
            Doubt::Unverified => settings.attempts.check(peer),
            Doubt::None => Ok(()),
        });
        if let Some(Err(wait)) = wait {
            self.failures.count(Reason::Throttled);
            AuthError::TooMany(wait)
        } else {
            self.failures.count(reason);
            error
        }
    }
}

impl Settings {
    async fn authenticate(&self, request: RequestHead<'_>) -> Result<Caller, (Reason, AuthError)> {
        let with_reason = |error| (Reason::from(&error), error);
        let (scheme, value) = header::split(request.headers.get(AUTHORIZATION)).map_err(with_reason)?;
        match (&self.keys, &self.tokens) {
            (Some(keys), _) if scheme.eq_ignore_ascii_case("basic") => {
                keys.check_value(value).map(|()| Caller::Basic).map_err(with_reason)
            }
            (_, Some((validator, capabilities))) if scheme.eq_ignore_ascii_case("bearer") => {
                bearer(validator, capabilities, request, value).await
            }
            _ => Err(with_reason(AuthError::UnsupportedScheme(scheme.to_owned()))),
        }
    }
}

async fn bearer(
    validator: &Validator,
    capabilities: &Capabilities,
    request: RequestHead<'_>,
    token: &str,
) -> Result<Caller, (Reason, AuthError)> {
    let claims = validator.validate(token).await.map_err(|error| {
        debug!(%error, "token of a service not accepted");
        (Reason::from(&error), AuthError::from(&error))
    })?;
    if capabilities.allow(&claims, request.method, request.path) {
        Ok(Caller::Bearer { subject: claims.get("sub").and_then(Value::as_str).unwrap_or_default().into() })
    } else {
        Err((Reason::Capability, AuthError::Forbidden))
    }
}
