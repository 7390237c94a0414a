//! Tokens of devices (contract §6.2): `jwtValidator` and `failOpen`.

use http::header::HeaderValue;
use talaria_protocol::claims::Claims;
use tracing::debug;

use super::jwt::{self, Validator};
use super::keys::KeyMetrics;
use super::{Failures, Reason, Refusal, header};
use crate::telemetry::metrics::Metrics;

/// Whether and how devices' tokens are checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// How (`jwtValidator`); none: everybody is let in, whatever [`fail_open`](Self::fail_open) says.
    pub jwt: Option<jwt::Config>,
    /// Whether a device without an `Authorization` header is let in, without claims (`failOpen`).
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
    failures: Failures,
}

impl DeviceAuth {
    /// To be called within a runtime.
    pub fn start(config: &Config, metrics: &Metrics) -> Self {
        let key_metrics = KeyMetrics::register(metrics);
        Self {
            validator: config.jwt.as_ref().map(|jwt| Validator::start(jwt, key_metrics)),
            fail_open: config.fail_open,
            failures: Failures::register(metrics, "device"),
        }
    }

    /// What a device's token says of it; `None` if it needs none and has none.
    ///
    /// # Errors
    /// Why it is not let in.
    pub async fn check(&self, authorization: Option<&HeaderValue>) -> Result<Option<Claims>, Refusal> {
        let Some(validator) = &self.validator else { return Ok(None) };
        if authorization.is_none() && self.fail_open {
            return Ok(None);
        }
        let token = header::bearer(authorization).inspect_err(|refusal| {
            self.failures.count(Reason::from(refusal));
        })?;
        match validator.validate(token).await {
            Ok(claims) => Ok(Some(Claims::new(&claims))),
            Err(error) => {
                debug!(%error, "a device's token is refused");
                self.failures.count(jwt::reason(&error));
                Err(jwt::refusal(&error))
            }
        }
    }
}
