//! JSON Web Tokens: who signed them, and whether they are valid now (contract §6.2).
//!
//! The rules of a token and the order of its checks are in [`talaria_protocol::token`]. This module fetches its keys
//! ([`Keys`](super::keys)) and reads the clock.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value};
use talaria_protocol::keys::Known;
use talaria_protocol::token::{self, Requirements, Token, TokenError};
use tokio::runtime::Handle;

use super::keys::{self, KeyMetrics, Keys};
use crate::live::PrepareError;

/// How tokens are checked (`jwtValidator`, `inbound.jwt`).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// Where the keys come from.
    pub keys: keys::Config,
    /// What is required of the claims.
    pub required: Requirements,
}

/// Checks tokens.
#[derive(Debug)]
pub struct Validator {
    keys: Arc<Keys>,
    required: Requirements,
}

impl Validator {
    /// A validator with keys of its own. Needs a tokio runtime.
    #[must_use]
    pub fn start(config: &Config, metrics: &KeyMetrics) -> Self {
        let keys = Arc::new(Keys::start(config.keys.clone(), metrics));
        Self { keys, required: config.required.clone() }
    }

    /// A validator with other settings than this one. It has the same keys if they come from the same places. Otherwise it
    /// fetches its sources first, so that no token is refused for want of a key; blocks meanwhile, for at most
    /// `Resolve.Timeout`.
    ///
    /// # Errors
    /// If no source has any keys.
    pub(super) fn changed(
        before: Option<&Arc<Self>>,
        config: &Config,
        metrics: &KeyMetrics,
    ) -> Result<Arc<Self>, PrepareError> {
        if let Some(before) = before.filter(|before| *before.keys.config() == config.keys) {
            let (keys, required) = (Arc::clone(&before.keys), config.required.clone());
            return Ok(Arc::new(Self { keys, required }));
        }
        let validator = Self::start(config, metrics);
        if Handle::current().block_on(validator.keys.are_ready()) {
            Ok(Arc::new(validator))
        } else {
            let problem = "has no source from which keys could be fetched, so every token would be refused";
            Err(PrepareError(format!("jwt Config.Refresh.Sources {problem}")))
        }
    }

    /// The claims of a token that is valid now. May wait for a key for up to `Resolve.Timeout`.
    ///
    /// # Errors
    /// [`TokenError`].
    pub async fn validate(&self, text: &str) -> Result<Map<String, Value>, TokenError> {
        let token = Token::parse(text)?;
        let known = self.keys.get(token.key_id()).await?;
        let claims = match token::verified(&token, &known) {
            Some(claims) => claims?,
            None => self.verified_by_newer_key(&token, &known).await?,
        };
        token::check_claims(&claims, &self.required, now())?;
        Ok(claims)
    }

    /// Verifies with a newer key: since it was fetched, the key may have been replaced by another one with the same id.
    async fn verified_by_newer_key(
        &self,
        token: &Token<'_>,
        old: &Known,
    ) -> Result<Map<String, Value>, TokenError> {
        let newer = self.keys.get_newer(token.key_id(), old).await.map_err(|_| TokenError::Signature)?;
        Ok(token::verified(token, &newer).ok_or(TokenError::Signature)??)
    }
}

/// Seconds since 1970.
#[expect(
    clippy::disallowed_methods,
    reason = "tokens are valid by the time of day; it is read here and passed on"
)]
fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64)
}
