//! Checks that the settings of `tls` and `sasl` fit together (contract §8.2).

use http::Uri;

use super::{Faults, TWO_PASSWORDS, ZERO_BYTE};
use crate::config::{Config, OAuth2, SaslMechanism};

/// As many extensions are sent with a token.
const MAX_EXTENSIONS: usize = 32;

impl Config {
    pub(super) fn check_security(&self, faults: &mut Faults) {
        self.check_tls(faults);
        self.check_sasl(faults);
        let (tls, sasl) = (&self.tls, &self.sasl);
        for (key, value) in [
            ("tls.certFile", tls.cert_file.as_str()),
            ("tls.keyFile", &tls.key_file),
            ("tls.caFile", &tls.ca_file),
            ("sasl.username", &sasl.username),
            ("sasl.password", sasl.password.reveal()),
            ("sasl.passwordFile", &sasl.password_file),
            ("sasl.oauth2.clientID", &sasl.oauth2.client_id),
        ] {
            if value.contains('\0') {
                faults.add(key, ZERO_BYTE);
            }
        }
    }

    fn check_tls(&self, faults: &mut Faults) {
        let tls = &self.tls;
        if tls.enabled && cfg!(all(feature = "client", not(feature = "tls"))) {
            faults.add("tls.enabled", "needs a build of wrpkafka with the feature `tls`");
        }
        if tls.enabled && tls.cert_file.is_empty() != tls.key_file.is_empty() {
            let missing = if tls.cert_file.is_empty() { "tls.certFile" } else { "tls.keyFile" };
            faults.add(missing, "is empty: a client certificate needs both certFile and keyFile");
        }
    }

    fn check_sasl(&self, faults: &mut Faults) {
        let sasl = &self.sasl;
        let texts = [
            ("sasl.username", &*sasl.username),
            ("sasl.password", sasl.password.reveal()),
            ("sasl.passwordFile", &sasl.password_file),
        ];
        let mut present = texts.into_iter().filter(|(_, text)| !text.is_empty());
        match sasl.mechanism {
            None if present.next().is_some() || sasl.oauth2 != OAuth2::default() => {
                faults.add("sasl.mechanism", format!("is empty: {}", SaslMechanism::UNKNOWN));
            }
            Some(mechanism @ SaslMechanism::OAuthBearer) => {
                for (key, _) in present {
                    faults.add(key, format!("is of no use with {mechanism}: see sasl.oauth2"));
                }
                sasl.oauth2.check(faults);
            }
            Some(mechanism) if sasl.username.is_empty() => {
                faults.add("sasl.username", format!("is empty: {mechanism} needs one"));
            }
            Some(mechanism) if sasl.password.reveal().is_empty() && sasl.password_file.is_empty() => {
                faults.add(
                    "sasl.password",
                    format!("is empty: {mechanism} needs one, here or in passwordFile"),
                );
            }
            _ => {}
        }
        if let Some(mechanism) = sasl.mechanism
            && mechanism != SaslMechanism::OAuthBearer
            && sasl.oauth2 != OAuth2::default()
        {
            faults.add("sasl.oauth2", format!("is of no use with {mechanism}: it is for OAUTHBEARER"));
        }
        if !sasl.password_file.is_empty() && !sasl.password.reveal().is_empty() {
            faults.add("sasl.passwordFile", TWO_PASSWORDS);
        }
    }
}

impl OAuth2 {
    fn check(&self, faults: &mut Faults) {
        let key = |name: &str| format!("sasl.oauth2.{name}");
        let url = self.token_url.parse::<Uri>().ok();
        let is_url = url.is_some_and(|url| {
            matches!(url.scheme_str(), Some("http" | "https"))
                && url.authority().is_some_and(|authority| !authority.as_str().contains('@'))
        });
        if !is_url {
            let expected = "expected the URL of a token server, such as https://auth.example.com/token";
            faults.add(key("tokenURL"), format!("is {:?}: {expected}", self.token_url));
        }
        if self.client_id.is_empty() {
            faults.add(key("clientID"), "is empty: expected the id of the client");
        }
        match (self.client_secret.reveal().is_empty(), self.client_secret_file.is_empty()) {
            (true, true) => {
                faults
                    .add(key("clientSecretFile"), "is empty: expected a file with the secret of the client");
            }
            (false, false) => {
                faults.add(key("clientSecretFile"), "excludes clientSecret: expected only one of them");
            }
            _ => {}
        }
        if self.extensions.len() > MAX_EXTENSIONS {
            let problem = format!("has {} entries: expected at most {MAX_EXTENSIONS}", self.extensions.len());
            faults.add(key("extensions"), problem);
        }
        for (name, value) in &self.extensions {
            let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphabetic());
            if !is_name || name == "auth" {
                faults.add(
                    key(&format!("extensions.{name}")),
                    "is no name of an extension: expected letters other than auth",
                );
            }
            if !value.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) {
                faults.add(key(&format!("extensions.{name}")), "has characters other than printable ASCII");
            }
        }
    }
}
