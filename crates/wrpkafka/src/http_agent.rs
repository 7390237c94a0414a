//! The client of the few HTTP servers that the publisher asks: a schema registry and a token server.
//!
//! It follows no redirects, since credentials must not reach another server, and uses no proxy.

use std::sync::Arc;
use std::time::Duration;

use ureq::Agent;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, TlsProvider, parse_pem};

use crate::files;

/// A client whose requests take at most `timeout`. For https, `ca_file` is the key and the path of the authorities, whose path
/// is empty for the system's. Connects to nothing.
///
/// # Errors
/// The file cannot be used, with its key.
pub(crate) fn open(ca_file: Option<(&'static str, &str)>, timeout: Duration) -> Result<Agent, String> {
    let mut tls = TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
    if let Some((key, path)) = ca_file {
        tls = tls.root_certs(authorities(key, path)?);
    }
    let config = Agent::config_builder()
        .tls_config(tls.build())
        .timeout_global(Some(timeout))
        .http_status_as_error(false)
        .max_redirects(0)
        .proxy(None)
        .user_agent(concat!("wrpkafka/", env!("CARGO_PKG_VERSION")));
    Ok(config.build().new_agent())
}

/// A text as it stands in a path or a form (RFC 3986 §2.1).
pub(crate) fn percent_encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

fn authorities(key: &'static str, path: &str) -> Result<RootCerts, String> {
    let certificates: Vec<Certificate<'static>> = if path.is_empty() {
        // System certificates that cannot be read are skipped.
        let system = rustls_native_certs::load_native_certs().certs;
        system.iter().map(|certificate| Certificate::from_der(certificate).to_owned()).collect()
    } else {
        let pem = files::read_for(key, path).map_err(|error| error.to_string())?;
        let items = parse_pem(&pem).filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        });
        let certificates: Vec<_> = items.collect();
        if certificates.is_empty() {
            return Err(format!("{key}: `{path}` has no certificate in PEM"));
        }
        certificates
    };
    Ok(RootCerts::new_with_certs(&certificates))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_one_segment_of_a_path() {
        assert_eq!(percent_encoded("wrp-events-value"), "wrp-events-value");
        assert_eq!(percent_encoded("a/b?ü"), "a%2Fb%3F%C3%BC");
    }
}
