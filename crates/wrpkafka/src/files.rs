//! The files that a configuration names: certificates, keys and a password. They are read when a client is built, and
//! checked for changes while it runs.

use std::borrow::Cow;
use std::fs::File;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{self, Read as _};

use crate::config::Config;
use crate::error::FileError;

/// The most of a file that is read, in bytes. A bundle of all public authorities takes 250 kB.
const MAX_BYTES: u64 = 4 << 20;

/// A hash of the contents of all files: it differs when one of them has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fingerprint(u64);

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
