//! JSON Web Tokens: who signed them, and whether they are good now (contract §6.2).
//!
//! There is one way through here. A token's text is taken apart ([`token`], no I/O, no keys), which refuses every
//! algorithm but the ten of [`algorithm`]; its key is looked up by its id ([`Keys`](super::keys)); the signature is
//! checked by a key that is of the algorithm's own kind ([`public_key`]); only then its claims are read, and its times
//! compared with the clock ([`times`]).

pub mod algorithm;
pub mod json;
pub mod key_id;
pub mod public_key;
pub mod times;
pub mod token;

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value};

use super::keys::{self, KeyError, KeyMetrics, Keys, Known};
use super::{Reason, Refusal};
use times::{Leeway, NotNow};
use token::{Malformed, Token};

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

/// Why a token is refused.
#[derive(Debug, thiserror::Error)]
pub enum Rejected {
    /// It is no token, or asks for what is never done.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// There is no key to check it with.
    #[error("its key is not known: {0}")]
    Key(#[from] KeyError),
    /// None of the keys of its id made its signature.
    #[error("its signature is not by its key")]
    Signature,
    /// Its `sub` is not a text, or empty.
    #[error("it has no subject")]
    Subject,
    /// It is not valid now.
    #[error(transparent)]
    Time(#[from] NotNow),
}

impl Validator {
    /// A validator with keys of its own. To be called within a runtime.
    pub fn start(config: &Config, metrics: KeyMetrics) -> Self {
        Self { keys: Keys::start(config.keys.clone(), metrics), leeway: config.leeway }
    }

    /// The claims of a token that is good now. May wait for a key, as long as `Resolve.Timeout` says.
    ///
    /// # Errors
    /// [`Rejected`].
    pub async fn validate(&self, text: &str) -> Result<Map<String, Value>, Rejected> {
        let token = Token::parse(text)?;
        let known = self.keys.get(token.key_id()).await?;
        let claims = match verified(&token, &known) {
            Some(claims) => claims?,
            None => self.verified_anew(&token, &known).await?,
        };
        // The order tells an unsound token (400) from one that is out of its time (401, 403).
        if claims.get("sub").and_then(Value::as_str).is_none_or(str::is_empty) {
            return Err(Rejected::Subject);
        }
        times::check(&claims, self.leeway, now())?;
        Ok(claims)
    }

    /// The key may have been replaced under its id since it was fetched; `current` is bound to be, some day.
    async fn verified_anew(&self, token: &Token<'_>, old: &Known) -> Result<Map<String, Value>, Rejected> {
        let newer = self.keys.get_newer(token.key_id(), old).await.map_err(|_| Rejected::Signature)?;
        Ok(verified(token, &newer).ok_or(Rejected::Signature)??)
    }
}

impl Rejected {
    /// How it is told to whoever sent the token (the table of contract §6.5).
    pub fn refusal(&self) -> Refusal {
        match self {
            Self::Malformed(_) | Self::Key(_) | Self::Signature | Self::Subject => Refusal::Invalid,
            Self::Time(_) => Refusal::Bad,
        }
    }

    /// How it is counted.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Malformed(_) => Reason::Malformed,
            Self::Key(_) => Reason::UnknownKey,
            Self::Signature => Reason::Signature,
            Self::Subject => Reason::Subject,
            Self::Time(NotNow::Expired) => Reason::Expired,
            Self::Time(NotNow::Early | NotNow::FromTheFuture) => Reason::Early,
        }
    }
}

fn verified(token: &Token<'_>, known: &Known) -> Option<Result<Map<String, Value>, Malformed>> {
    let fitting = known.keys.iter().filter(|key| key.only.is_none_or(|only| only == token.algorithm()));
    fitting.into_iter().find_map(|key| token.verified_by(&key.public))
}

/// Seconds since 1970.
fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64)
}
