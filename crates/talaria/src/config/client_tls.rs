//! Reads the certificates of TLS to a server that the operator names: Consul, a collector of traces.

use std::path::PathBuf;

use super::read::Section;
use crate::client_tls::{self, TlsConfig};

/// Reads the authorities, which stand at the first of these keys that is set, and the gateway's own certificate. Files that
/// cannot be used are faults.
pub(super) fn read(section: &Section<'_>, authorities: &[&str], certificate: &str) -> TlsConfig {
    let path = |key: &str| {
        let mut path = String::new();
        section.read(key, &mut path);
        (!path.is_empty()).then(|| PathBuf::from(path))
    };
    let mut config = TlsConfig::default();
    // Read in any case, so that their faults show.
    let authorities: Vec<_> = authorities.iter().map(|key| path(key)).collect();
    config.authorities = authorities.into_iter().flatten().next();
    config.client = match (path(certificate), path("keyFile")) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        (Some(_), None) => {
            section.fault("keyFile", format!("is absent, expected the key that belongs to {certificate}"));
            None
        }
        (None, Some(_)) => {
            section.fault(certificate, "is absent, expected the certificate that belongs to keyFile");
            None
        }
    };
    if let Err(error) = client_tls::check(&config) {
        section.fault("", format!("cannot be used: {error}"));
    }
    config
}
