//! The checks of devices' tokens (contract §6.2: `jwtValidator`, `failOpen`) and of their client certificates
//! (contract §14.26: `deviceIdFromCertificate`).
//!
//! TLS has verified the certificate; here only its names are compared with the device's id.

use std::sync::Arc;

use arc_swap::ArcSwap;
use http::header::HeaderValue;
use talaria_protocol::claims::Claims;
use talaria_protocol::connect::{CertificateRule, ConnectError};
use talaria_protocol::x509::Names;
use tracing::{debug, warn};
use wrp::DeviceId;

use super::error::AuthError;
use super::header;
use super::jwt::{self, Validator};
use super::keys::KeyMetrics;
use super::reason::{FailureCounter, Reason};
use crate::live::{Change, Live, PrepareError, Setting};
use crate::server::ClientCertificate;
use crate::telemetry::keyed_throttle::KeyedThrottle;
use crate::telemetry::metrics::Metrics;

/// Whether and how devices' tokens are checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// How tokens are checked (`jwtValidator`). If none, every device may connect, whatever
    /// [`fail_open`](Self::fail_open) says.
    pub jwt: Option<jwt::Config>,
    /// Whether a device without an `Authorization` header may connect, without claims (`failOpen`).
    pub fail_open: bool,
    /// Which id the client certificate of a device allows; any if none (`primary.deviceIdFromCertificate`).
    pub certificate_rule: Option<CertificateRule>,
}

impl Default for Config {
    fn default() -> Self {
        Self { jwt: None, fail_open: true, certificate_rule: None }
    }
}

/// Checks the tokens of devices.
#[derive(Debug)]
pub struct DeviceAuth {
    settings: ArcSwap<Settings>,
    key_metrics: KeyMetrics,
    /// Throttles the line about certificates of another id, for each id.
    wrong_certificates: KeyedThrottle,
    failures: FailureCounter,
}

/// What decides about a device that connects now.
#[derive(Debug)]
struct Settings {
    validator: Option<Arc<Validator>>,
    fail_open: bool,
    certificate_rule: Option<CertificateRule>,
}

impl Live<Config> for DeviceAuth {
    const SETTINGS: &'static [Setting] = &[
        Setting::live("jwtValidator"),
        Setting::live("failOpen"),
        Setting::live("primary.deviceIdFromCertificate"),
    ];

    fn prepare(self: &Arc<Self>, settings: &Config) -> Result<Change, PrepareError> {
        let before = self.settings.load();
        let validator = settings
            .jwt
            .as_ref()
            .map(|jwt| Validator::changed(before.validator.as_ref(), jwt, &self.key_metrics))
            .transpose()?;
        let settings = Settings {
            validator,
            fail_open: settings.fail_open,
            certificate_rule: settings.certificate_rule.clone(),
        };
        let auth = Arc::clone(self);
        Ok(Box::new(move || auth.settings.store(Arc::new(settings))))
    }
}

impl DeviceAuth {
    /// Starts to fetch keys, if there are any. Needs a tokio runtime.
    pub fn start(config: &Config, metrics: &Metrics) -> Self {
        let key_metrics = KeyMetrics::register(metrics);
        let start = |jwt| Arc::new(Validator::start(jwt, &key_metrics));
        let settings = Settings {
            validator: config.jwt.as_ref().map(start),
            fail_open: config.fail_open,
            certificate_rule: config.certificate_rule.clone(),
        };
        Self {
            settings: ArcSwap::from_pointee(settings),
            key_metrics,
            wrong_certificates: KeyedThrottle::new(),
            failures: FailureCounter::register(metrics, "device"),
        }
    }

    /// The claims of a device's token; none if it needs no token and has none.
    ///
    /// # Errors
    /// Why the device may not connect.
    pub async fn check(&self, authorization: Option<&HeaderValue>) -> Result<Option<Claims>, AuthError> {
        let settings = self.settings.load_full();
        let Some(validator) = &settings.validator else { return Ok(None) };
        if authorization.is_none() && settings.fail_open {
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

    /// Whether the client certificate allows this id. Without the rule every certificate, and none, does.
    ///
    /// # Errors
    /// [`ConnectError::NotInCertificate`], also if there is no certificate.
    pub fn check_certificate(
        &self,
        certificate: Option<&ClientCertificate>,
        id: &DeviceId,
    ) -> Result<(), ConnectError> {
        let settings = self.settings.load();
        let Some(rule) = &settings.certificate_rule else { return Ok(()) };
        let names = certificate.and_then(|certificate| Names::read(&certificate.0).ok()).unwrap_or_default();
        if rule.allows(&names, id) {
            return Ok(());
        }
        self.failures.count(Reason::Certificate);
        if let Some(suppressed) = self.wrong_certificates.admit(id.as_str()) {
            warn!(%id, ?names, suppressed, "device refused: its id is not that of its client certificate");
        }
        Err(ConnectError::NotInCertificate)
    }
}
