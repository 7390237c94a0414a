//! JSON Web Tokens: who signed them, and whether they are good now (contract §6.2).
//!
//! [`talaria_protocol::token`] says what a good token is, and in which order it is checked; here its keys are fetched
//! ([`Keys`](super::keys)), and the clock is read.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value};

use talaria_protocol::keys::Known;
use talaria_protocol::token::{self, Leeway, TimeError, Token, TokenError};

use super::keys::{self, KeyMetrics, Keys};
use super::{Reason, Refusal};

/// How tokens are checked (`jwtValidator`, `inbound.jwt`).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// Where the keys are.
    pub keys: keys::Config,
    /// How far clocks may be apart.
    pub leeway: Leeway,
}

/// Checks tokens.
#[derive(Debug)]
pub struct Validator {
    keys: Keys,
    leeway: Leeway,
}

impl Validator {
    /// A validator with keys of its own. To be called within a runtime.
    pub fn start(config: &Config, metrics: KeyMetrics) -> Self {
        Self { keys: Keys::start(config.keys.clone(), metrics), leeway: config.leeway }
    }

    /// The claims of a token that is good now. May wait for a key, as long as `Resolve.Timeout` says.
    ///
    /// # Errors
    /// [`TokenError`].
    pub async fn validate(&self, text: &str) -> Result<Map<String, Value>, TokenError> {
        let token = Token::parse(text)?;
        let known = self.keys.get(token.key_id()).await?;
        let claims = match token::verified(&token, &known) {
            Some(claims) => claims?,
            None => self.verified_anew(&token, &known).await?,
        };
        token::check_claims(&claims, self.leeway, now())?;
        Ok(claims)
    }

    /// The key may have been replaced under its id since it was fetched; `current` is bound to be, some day.
    async fn verified_anew(&self, token: &Token<'_>, old: &Known) -> Result<Map<String, Value>, TokenError> {
        let newer = self.keys.get_newer(token.key_id(), old).await.map_err(|_| TokenError::Signature)?;
        Ok(token::verified(token, &newer).ok_or(TokenError::Signature)??)
    }
}

/// How a rejected token is answered (the table of contract §6.5).
#[must_use]
pub fn refusal(error: &TokenError) -> Refusal {
    match error {
        TokenError::Format(_) | TokenError::Key(_) | TokenError::Signature | TokenError::Subject => {
            Refusal::Invalid
        }
        TokenError::Time(_) => Refusal::Bad,
    }
}

/// How a rejected token is counted.
#[must_use]
pub fn reason(error: &TokenError) -> Reason {
    match error {
        TokenError::Format(_) => Reason::Malformed,
        TokenError::Key(_) => Reason::UnknownKey,
        TokenError::Signature => Reason::Signature,
        TokenError::Subject => Reason::Subject,
        TokenError::Time(TimeError::Expired) => Reason::Expired,
        TokenError::Time(TimeError::Early | TimeError::FromTheFuture) => Reason::Early,
    }
}

/// Seconds since 1970.
fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64)
}
