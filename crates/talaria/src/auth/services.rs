//! Who may use the REST API: basic keys, tokens with capabilities, or everybody if neither is configured.

use std::net::IpAddr;

use http::header::AUTHORIZATION;
use http::{HeaderMap, Method};
use tracing::debug;

use super::attempts::{self, Attempts};
use super::capabilities::Capabilities;
use super::jwt::{self, Validator};
use super::keys::KeyMetrics;
use super::{BasicKeys, Failures, Reason, Refusal, basic, header};
use crate::telemetry::metrics::Metrics;

/// Who may use the API (`inbound`).
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// Keys that open it (`authKey`).
    pub keys: Option<BasicKeys>,
    /// Tokens that open it (`jwt`).
    pub tokens: Option<Tokens>,
    /// How much failing is borne (`throttle`).
    pub attempts: attempts::Config,
}

/// Tokens of services.
#[derive(Clone, Debug)]
pub struct Tokens {
    /// How they are checked.
    pub jwt: jwt::Config,
    /// What they have to allow.
    pub capabilities: Capabilities,
}

/// A request to the API, as far as it matters here.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Its method.
    pub method: &'a Method,
    /// Its path.
    pub path: &'a str,
    /// Its headers.
    pub headers: &'a HeaderMap,
    /// Who asks, if that is known.
    pub peer: Option<IpAddr>,
}

/// Who was let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    /// Anybody: nothing is configured.
    Anybody,
    /// One with a basic key.
    Basic,
    /// One with a token that allows the request.
    Bearer,
}

/// Checks the credentials of requests to the API.
#[derive(Debug)]
pub struct ServiceAuth {
    keys: Option<BasicKeys>,
    tokens: Option<(Validator, Capabilities)>,
    attempts: Attempts,
    failures: Failures,
}

impl ServiceAuth {
    /// To be called within a runtime.
    pub fn start(config: &Config, metrics: &Metrics) -> Self {
        let tokens = config.tokens.as_ref().map(|tokens| {
            let validator = Validator::start(&tokens.jwt, KeyMetrics::register(metrics));
            (validator, tokens.capabilities.clone())
        });
        Self {
            keys: config.keys.clone(),
            tokens,
            attempts: Attempts::new(config.attempts),
            failures: Failures::register(metrics, "api"),
        }
    }

    /// Whether a request is let in.
    ///
    /// # Errors
    /// Why not.
    pub async fn check(&self, asked: Asked<'_>) -> Result<Caller, Refusal> {
        if self.keys.is_none() && self.tokens.is_none() {
            return Ok(Caller::Anybody);
        }
        if let Some(Err(wait)) = asked.peer.map(|peer| self.attempts.check(peer)) {
            return Err(self.refused(&asked, Reason::Throttled, Refusal::TooMany(wait)));
        }
        let (scheme, value) = match header::split(asked.headers.get(AUTHORIZATION)) {
            Ok(split) => split,
            Err(refusal) => return Err(self.refused(&asked, Reason::from(&refusal), refusal)),
        };
        let let_in = match (&self.keys, &self.tokens) {
            (Some(keys), _) if scheme.eq_ignore_ascii_case("basic") => keys
                .check_value(value)
                .map(|()| Caller::Basic)
                .map_err(|refusal| (Reason::from(&refusal), refusal)),
            (_, Some((validator, capabilities))) if scheme.eq_ignore_ascii_case("bearer") => {
                bearer(validator, capabilities, asked, value).await.map(|()| Caller::Bearer)
            }
            _ => {
                let refusal = Refusal::UnsupportedScheme(scheme.to_owned());
                Err((Reason::Scheme, refusal))
            }
        };
        match let_in {
            Ok(caller) => {
                if let Some(peer) = asked.peer {
                    self.attempts.succeeded(peer);
                }
                Ok(caller)
            }
            Err((reason, refusal)) => Err(self.refused(&asked, reason, refusal)),
        }
    }

    /// What a 401 asks for.
    pub fn challenge(&self) -> &'static str {
        match (&self.keys, &self.tokens) {
            (_, None) => basic::CHALLENGE,
            (None, Some(_)) => super::BEARER_CHALLENGE,
            (Some(_), Some(_)) => "Basic realm=\"talaria\", Bearer realm=\"talaria\"",
        }
    }

    fn refused(&self, asked: &Asked<'_>, reason: Reason, refusal: Refusal) -> Refusal {
        self.failures.count(reason);
        if let (true, Some(peer)) = (reason.is_guess(), asked.peer) {
            self.attempts.failed(peer);
        }
        refusal
    }
}

async fn bearer(
    validator: &Validator,
    capabilities: &Capabilities,
    asked: Asked<'_>,
    token: &str,
) -> Result<(), (Reason, Refusal)> {
    let claims = validator.validate(token).await.map_err(|error| {
        debug!(%error, "a service's token is refused");
        (jwt::reason(&error), jwt::refusal(&error))
    })?;
    if capabilities.allow(&claims, asked.method, asked.path) {
        Ok(())
    } else {
        Err((Reason::Capability, Refusal::Forbidden))
    }
}
