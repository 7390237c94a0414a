//! The files that a configuration names: certificates, keys and a password. They are read when a client is built, and
//! checked for changes while it runs. [`Config::check_files`] finds everything that is wrong with them before that.

use std::borrow::Cow;
use std::fs::File;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{self, Read as _};

#[cfg(feature = "tls")]
use rustls::pki_types::pem::PemObject as _;
#[cfg(feature = "tls")]
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::config::{Config, ConfigError, Fault, SaslMechanism};
use crate::error::FileError;

/// The most of a file that is read, in bytes. A bundle of all public authorities takes 250 kB.
const MAX_BYTES: u64 = 4 << 20;

/// A hash of the contents of all files: it differs when one of them has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fingerprint(u64);

impl Config {
    /// Reads all files that are used with these settings. A start finds these faults, too, but only the first.
    ///
    /// # Errors
    /// All faults at once, keys relative to the `kafka` section.
    pub fn check_files(&self) -> Result<(), ConfigError> {
        let registry = &self.schema_registry;
        let is_https = registry.urls.iter().any(|url| url.starts_with("https://"));
        let oauth2 = &self.sasl.oauth2;
        let has_tokens = self.sasl.mechanism == Some(SaslMechanism::OAuthBearer);
        let of_others = [
            ("sasl.oauth2.clientSecretFile", oauth2.client_secret_file.as_str(), has_tokens),
            ("sasl.oauth2.caFile", &oauth2.ca_file, has_tokens && oauth2.token_url.starts_with("https:")),
            ("schemaRegistry.caFile", &registry.ca_file, is_https),
            ("schemaRegistry.passwordFile", &registry.password_file, !registry.urls.is_empty()),
        ];
        let others = of_others.into_iter().filter(|(_, path, is_used)| *is_used && !path.is_empty());
        let mut faults = Vec::new();
        for (key, path) in named(self).chain(others.map(|(key, path, _)| (key, path))) {
            if let Err(problem) = check_file(key, path) {
                faults.push(Fault { key: key.to_owned(), problem: format!("names {path}, {problem}") });
            }
        }
        if faults.is_empty() { Ok(()) } else { Err(ConfigError(faults)) }
    }
}

/// What is wrong with the content of the file that a key names.
fn check_file(key: &str, path: &str) -> Result<(), String> {
    let bytes = read(path).map_err(|error| format!("which cannot be read: {error}"))?;
    let problem = match key.rsplit('.').next() {
        Some("passwordFile" | "clientSecretFile") => {
            let text = str::from_utf8(&bytes).map(|text| text.trim_end_matches(['\r', '\n']));
            (!text.is_ok_and(|text| !text.is_empty())).then_some("which holds no text in UTF-8")
        }
        // A password for the key cannot be configured.
        Some("keyFile") => (!is_private_key(&bytes)).then_some("expected an unencrypted private key in PEM"),
        _ => (!is_certificates(&bytes)).then_some("expected certificates in PEM"),
    };
    problem.map_or(Ok(()), |problem| Err(problem.to_owned()))
}

#[cfg(feature = "tls")]
fn is_private_key(bytes: &[u8]) -> bool {
    PrivateKeyDer::from_pem_slice(bytes).is_ok()
}

#[cfg(feature = "tls")]
fn is_certificates(bytes: &[u8]) -> bool {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(bytes).collect();
    certificates.is_ok_and(|found| !found.is_empty())
}

/// A build without TLS uses no keys.
#[cfg(not(feature = "tls"))]
fn is_private_key(_bytes: &[u8]) -> bool {
    true
}

/// A build without TLS uses no certificates.
#[cfg(not(feature = "tls"))]
fn is_certificates(_bytes: &[u8]) -> bool {
    true
}

/// Reads all files. That a file cannot be read counts as a content of its own.
pub(crate) fn fingerprint(config: &Config) -> Fingerprint {
    let mut hasher = DefaultHasher::new();
    for (_, path) in named(config) {
        read(path).map_err(|error| error.kind()).hash(&mut hasher);
    }
    Fingerprint(hasher.finish())
}

/// The configuration with the password from its file. Checks that the other files can be read as well, because librdkafka's
/// own errors do not name the file.
pub(crate) fn resolve(config: &Config) -> Result<Cow<'_, Config>, FileError> {
    let mut password = None;
    for (key, path) in named(config) {
        let bytes = read(path).and_then(|bytes| match key {
            PASSWORD => String::from_utf8(bytes).map(Some).map_err(io::Error::other),
            _ => Ok(None),
        });
        match bytes {
            Ok(text) => password = text.or(password),
            Err(error) => return Err(FileError { key, path: path.to_owned(), error }),
        }
    }
    let Some(password) = password else { return Ok(Cow::Borrowed(config)) };
    let mut config = config.clone();
    config.sasl.password = password.trim_end_matches(['\r', '\n']).into();
    Ok(Cow::Owned(config))
}

const PASSWORD: &str = "sasl.passwordFile";

/// The files that are used with these settings, with their keys.
fn named(config: &Config) -> impl Iterator<Item = (&'static str, &str)> {
    let (tls, sasl) = (&config.tls, &config.sasl);
    [
        ("tls.caFile", &tls.ca_file, tls.enabled),
        ("tls.certFile", &tls.cert_file, tls.enabled),
        ("tls.keyFile", &tls.key_file, tls.enabled),
        (PASSWORD, &sasl.password_file, sasl.mechanism.is_some()),
    ]
    .into_iter()
    .filter(|(_, path, is_used)| *is_used && !path.is_empty())
    .map(|(key, path, _)| (key, path.as_str()))
}

/// Reads the file that a key names.
#[cfg(feature = "registry")]
pub(crate) fn read_for(key: &'static str, path: &str) -> Result<Vec<u8>, FileError> {
    read(path).map_err(|error| FileError { key, path: path.to_owned(), error })
}

fn read(path: &str) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SaslMechanism;
    use crate::test_folder::TestFolder;

    fn config(folder: &TestFolder) -> Config {
        let mut config = Config::default();
        config.tls.enabled = true;
        config.tls.ca_file = folder.path("ca.pem");
        config.sasl.mechanism = Some(SaslMechanism::Plain);
        config.sasl.password_file = folder.path("password");
        config
    }

    #[test]
    fn a_password_comes_from_its_file_without_the_end_of_its_line() {
        let folder = TestFolder::new();
        folder.write("ca.pem", "ca");
        folder.write("password", " hunter2 \r\n");
        assert_eq!(resolve(&config(&folder)).unwrap().sasl.password.reveal(), " hunter2 ");
    }

    #[test]
    fn a_file_that_cannot_be_read_is_named() {
        let folder = TestFolder::new();
        folder.write("ca.pem", "ca");
        let error = resolve(&config(&folder)).unwrap_err();
        assert_eq!(error.key, "sasl.passwordFile");
        assert!(error.to_string().contains(&folder.path("password")), "{error}");
    }

    #[test]
    fn everything_that_is_wrong_with_the_files_is_found_at_once() {
        let folder = TestFolder::new();
        folder.write("ca.pem", "no certificate");
        folder.write("password", "\n");
        let mut config = config(&folder);
        config.tls.key_file = folder.path("ca.pem");
        config.tls.cert_file = folder.path("missing.pem");
        config.schema_registry.urls = vec!["https://registry".to_owned()];
        config.schema_registry.ca_file = folder.path("");
        config.schema_registry.password_file = folder.path("missing");
        let ConfigError(faults) = config.check_files().unwrap_err();
        let keys: Vec<&str> = faults.iter().map(|fault| fault.key.as_str()).collect();
        let all = [
            "tls.caFile",
            "tls.certFile",
            "tls.keyFile",
            "sasl.passwordFile",
            "schemaRegistry.caFile",
            "schemaRegistry.passwordFile",
        ];
        assert_eq!(keys, all, "{faults:?}");
        config.tls.enabled = false;
        config.sasl.mechanism = None;
        config.schema_registry.urls.clear();
        assert_eq!(config.check_files(), Ok(()), "files that are not used");
    }

    #[test]
    fn a_change_of_any_file_that_is_used_changes_the_fingerprint() {
        let folder = TestFolder::new();
        let mut config = config(&folder);
        let mut seen = vec![fingerprint(&config)];
        for (file, content) in [("ca.pem", "one"), ("ca.pem", "two"), ("password", "one"), ("password", "")] {
            folder.write(file, content);
            let now = fingerprint(&config);
            assert!(!seen.contains(&now), "{file} {content}");
            assert_eq!(now, fingerprint(&config));
            seen.push(now);
        }
        config.sasl.mechanism = None;
        let without = fingerprint(&config);
        folder.write("password", "three");
        assert_eq!(fingerprint(&config), without);
    }
}
