//! Checks that the settings of `tls` and `sasl` fit together (contract §8.2).

use super::{Faults, TWO_PASSWORDS, ZERO_BYTE};
use crate::config::{Config, SaslMechanism};

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
        ] {
            if value.contains('\0') {
                faults.add(key, ZERO_BYTE);
            }
        }
    }

    fn check_tls(&self, faults: &mut Faults) {
        let tls = &self.tls;
        if tls.enabled && tls.cert_file.is_empty() != tls.key_file.is_empty() {
            let missing = if tls.cert_file.is_empty() { "tls.certFile" } else { "tls.keyFile" };
            faults.add(missing, "is empty: a client certificate needs both certFile and keyFile");
        }
    }

    fn check_sasl(&self, faults: &mut Faults) {
        let sasl = &self.sasl;
        let texts = [&sasl.username, sasl.password.reveal(), &sasl.password_file];
        match sasl.mechanism {
            None if texts.iter().any(|text| !text.is_empty()) => {
                faults.add("sasl.mechanism", format!("is empty: {}", SaslMechanism::UNKNOWN));
            }
            Some(mechanism) if sasl.username.is_empty() => {
                faults.add("sasl.username", format!("is empty: {mechanism} needs one"));
            }
            _ => {}
        }
        if !sasl.password_file.is_empty() && !sasl.password.reveal().is_empty() {
            faults.add("sasl.passwordFile", TWO_PASSWORDS);
        }
    }
}
