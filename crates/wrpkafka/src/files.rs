//! The files that a configuration names: certificates, keys, a password. They are read when a client is built, and
//! looked at again while it runs.

use std::borrow::Cow;
use std::fs::File;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{self, Read as _};

use crate::config::Config;

/// The most of a file that is read. A bundle of all public authorities takes 250 kB.
const MAX_BYTES: u64 = 4 << 20;

/// A file that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{key}: cannot read `{path}`: {error}")]
pub(crate) struct Unreadable {
    /// The key that names it, relative to the `kafka` section.
    pub(crate) key: &'static str,
    pub(crate) path: String,
    pub(crate) error: io::Error,
}

/// What the files held, in one number: it is another one when any of them has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fingerprint(u64);

/// Looks at all files. One that cannot be read counts as another content.
pub(crate) fn fingerprint(config: &Config) -> Fingerprint {
    let mut hasher = DefaultHasher::new();
    for (_, path) in named(config) {
        read(path).map_err(|error| error.kind()).hash(&mut hasher);
    }
    Fingerprint(hasher.finish())
}

/// Names a file that cannot be read, which the client's own text does not, and puts the password in its place.
pub(crate) fn resolve(config: &Config) -> Result<Cow<'_, Config>, Unreadable> {
    let mut password = None;
    for (key, path) in named(config) {
        let bytes = read(path).and_then(|bytes| match key {
            PASSWORD => String::from_utf8(bytes).map(Some).map_err(io::Error::other),
            _ => Ok(None),
        });
        match bytes {
            Ok(text) => password = text.or(password),
            Err(error) => return Err(Unreadable { key, path: path.to_owned(), error }),
        }
    }
    let Some(password) = password else { return Ok(Cow::Borrowed(config)) };
    let mut config = config.clone();
    config.sasl.password = password.trim_end_matches(['\r', '\n']).into();
    Ok(Cow::Owned(config))
}

const PASSWORD: &str = "sasl.passwordFile";

/// The files that matter with these settings, by their keys.
fn named(config: &Config) -> impl Iterator<Item = (&'static str, &str)> {
    let (tls, sasl) = (&config.tls, &config.sasl);
    [
        ("tls.caFile", &tls.ca_file, tls.enabled),
        ("tls.certFile", &tls.cert_file, tls.enabled),
        ("tls.keyFile", &tls.key_file, tls.enabled),
        (PASSWORD, &sasl.password_file, !sasl.mechanism.is_empty()),
    ]
    .into_iter()
    .filter(|(_, path, matters)| *matters && !path.is_empty())
    .map(|(key, path, _)| (key, path.as_str()))
}

/// Reads the file of a key.
pub(crate) fn read_for(key: &'static str, path: &str) -> Result<Vec<u8>, Unreadable> {
    read(path).map_err(|error| Unreadable { key, path: path.to_owned(), error })
}

fn read(path: &str) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_folder::Folder;

    fn config(folder: &Folder) -> Config {
        let mut config = Config::default();
        config.tls.enabled = true;
        config.tls.ca_file = folder.path("ca.pem");
        config.sasl.mechanism = "PLAIN".to_owned();
        config.sasl.password_file = folder.path("password");
        config
    }

    #[test]
    fn a_password_comes_from_its_file_without_the_end_of_its_line() {
        let folder = Folder::new();
        folder.write("ca.pem", "ca");
        folder.write("password", " hunter2 \r\n");
        assert_eq!(resolve(&config(&folder)).unwrap().sasl.password.reveal(), " hunter2 ");
    }

    #[test]
    fn a_file_that_cannot_be_read_is_named() {
        let folder = Folder::new();
        folder.write("ca.pem", "ca");
        let error = resolve(&config(&folder)).unwrap_err();
        assert_eq!(error.key, "sasl.passwordFile");
        assert!(error.to_string().contains(&folder.path("password")), "{error}");
    }

    #[test]
    fn a_change_of_any_file_shows_and_only_of_those_that_matter() {
        let folder = Folder::new();
        let mut config = config(&folder);
        let mut seen = vec![fingerprint(&config)];
        for (file, content) in [("ca.pem", "one"), ("ca.pem", "two"), ("password", "one"), ("password", "")] {
            folder.write(file, content);
            let now = fingerprint(&config);
            assert!(!seen.contains(&now), "{file} {content}");
            assert_eq!(now, fingerprint(&config));
            seen.push(now);
        }
        config.sasl.mechanism.clear();
        let without = fingerprint(&config);
        folder.write("password", "three");
        assert_eq!(fingerprint(&config), without);
    }
}
