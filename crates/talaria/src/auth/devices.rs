//! The check of devices' tokens (contract §6.2): `jwtValidator` and `failOpen`.

use http::header::HeaderValue;
use talaria_protocol::claims::Claims;
use tracing::debug;

use super::error::AuthError;
use super::header;
use super::jwt::{self, Validator};
use super::keys::KeyMetrics;
use super::reason::{FailureCounter, Reason};
use crate::telemetry::metrics::Metrics;

/// Whether and how devices' tokens are checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// How tokens are checked (`jwtValidator`). If none, every device may connect, whatever
    /// [`fail_open`](Self::fail_open) says.
    pub jwt: Option<jwt::Config>,
    /// Whether a device without an `Authorization` header may connect, without claims (`failOpen`).
    pub fail_open: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self { jwt: None, fail_open: true }
    }
}

/// Checks the tokens of devices.
#[derive(Debug)]
pub struct DeviceAuth {
    validator: Option<Validator>,
    fail_open: bool,
    failures: FailureCounter,
}

impl DeviceAuth {
    /// Starts to fetch keys, if there are any. Needs a tokio runtime.
    pub fn start(config: &Config, metrics: &Metrics) -> Self {
        let key_metrics = KeyMetrics::register(metrics);
        Self {
            validator: config.jwt.as_ref().map(|jwt| Validator::start(jwt, key_metrics)),
            fail_open: config.fail_open,
            failures: FailureCounter::register(metrics, "device"),
        }
    }

    /// The claims of a device's token; none if it needs no token and has none.
    ///
    /// # Errors
    /// Why the device may not connect.
    pub async fn check(&self, authorization: Option<&HeaderValue>) -> Result<Option<Claims>, AuthError> {
        let Some(validator) = &self.validator else { return Ok(None) };
        if authorization.is_none() && self.fail_open {
            return Ok(None);
        }
        let token = header::bearer(authorization).inspect_err(|error| {
            self.failures.count(Reason::from(error));
        })?;
        match validator.validate(token).await {
            Ok(claims) => Ok(Some(Claims::new(&claims))),
            Err(error) => {
                debug!(%error, "token of a device not accepted");
                self.failures.count(Reason::from(&error));
                Err(AuthError::from(&error))
            }
        }
    }
}
