//! What single event receivers are shown, and how they are known: `device.outbound.credentials` (contract §5.10).
//!
//! An entry is for all URLs that begin with its own: of the same scheme, host and port, and of its path or below it.

use std::path::PathBuf;

use talaria_protocol::url::{Address, Origin, Target};

/// An entry of `credentials`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialsConfig {
    /// `url`: the URLs that it is for.
    pub at: UrlPrefix,
    /// `signature`.
    pub signature: Option<SignatureConfig>,
    /// `tls`. Connections are shared by all URLs of an origin, so it has no path.
    pub tls: Option<ReceiverTls>,
    /// `oauth2`.
    pub oauth2: Option<OAuth2Config>,
}

/// `oauth2`: an access token by client credentials (RFC 6749 §4.4) in place of `authKey`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OAuth2Config {
    /// `tokenURL`.
    pub token_url: String,
    /// `clientID`.
    pub client_id: String,
    /// `clientSecretFile`: read for each request for a token.
    pub client_secret_file: PathBuf,
    /// `scopes`.
    pub scopes: Vec<String>,
}

/// `tls`: whom to trust, and what to be known by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReceiverTls {
    /// `caFile`: the authorities that are trusted in place of the system's.
    pub ca_file: Option<PathBuf>,
    /// `certificateFile` and `keyFile`.
    pub client: Option<ClientCertificate>,
}

/// A certificate that the gateway presents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The chain, the gateway's own certificate first.
    pub certificate_file: PathBuf,
    /// The private key.
    pub key_file: PathBuf,
}

impl ReceiverTls {
    /// All files.
    pub(in crate::event) fn files(&self) -> impl Iterator<Item = &PathBuf> {
        let client = self.client.iter().flat_map(|client| [&client.certificate_file, &client.key_file]);
        self.ca_file.iter().chain(client)
    }
}

/// `signature`: an HMAC over each request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureConfig {
    /// `keyFile`: the keys, one a line.
    pub key_file: PathBuf,
    /// `format`.
    pub format: SignatureFormat,
}

/// How a signature is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SignatureFormat {
    /// `standard`: [Standard Webhooks](https://www.standardwebhooks.com), with an id and a time, and a signature for each key.
    #[default]
    Standard,
    /// `webpa`: `X-Webpa-Signature: sha1=…` over the body, as Caduceus signs, with the first key.
    Webpa,
}

/// The beginning of URLs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UrlPrefix {
    origin: Origin,
    path: Box<str>,
}

/// The text cannot be the beginning of URLs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {}", UrlPrefix::EXPECTED)]
pub struct UrlPrefixError;

impl UrlPrefix {
    /// What a text has to be.
    pub const EXPECTED: &str =
        "a URL of http or https without user and query, such as https://hooks.example.com/site";

    /// Parses a URL.
    ///
    /// # Errors
    /// [`UrlPrefixError`].
    pub fn parse(url: &str) -> Result<Self, UrlPrefixError> {
        let target = Target::parse(url).map_err(|_| UrlPrefixError)?;
        let address = target.address().map_err(|_| UrlPrefixError)?;
        if address.credentials.is_some() || address.path.query().is_some() {
            return Err(UrlPrefixError);
        }
        let path = address.path.path().trim_end_matches('/').into();
        Ok(Self { origin: address.origin.clone(), path })
    }

    /// The scheme, host and port.
    #[must_use]
    pub const fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Whether it is for all URLs of its origin.
    #[must_use]
    pub fn is_whole_origin(&self) -> bool {
        self.path.is_empty()
    }

    /// How much of this URL's path it covers; none if it is not for this URL.
    pub(in crate::event) fn covers(&self, address: &Address) -> Option<usize> {
        let rest = address.path.path().strip_prefix(&*self.path)?;
        let is_below = rest.is_empty() || rest.starts_with('/');
        (self.origin == address.origin && is_below).then_some(self.path.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covered(prefix: &str, url: &str) -> Option<usize> {
        UrlPrefix::parse(prefix).unwrap().covers(Target::parse(url).unwrap().address().unwrap())
    }

    #[test]
    fn a_prefix_covers_its_path_and_what_is_below_it_at_the_same_origin() {
        for (prefix, url, length) in [
            ("https://h", "https://h/", Some(0)),
            ("https://h/", "https://h:443/a?b=c", Some(0)),
            ("https://H/a", "https://h/a/b", Some(2)),
            ("https://h/a/", "https://h/a", Some(2)),
            ("https://h/a", "https://h/ab", None),
            ("https://h/a", "https://h/", None),
            ("https://h", "http://h/", None),
            ("https://h", "https://h:8443/", None),
        ] {
            assert_eq!(covered(prefix, url), length, "{prefix} {url}");
        }
    }

    #[test]
    fn a_prefix_has_neither_credentials_nor_a_query() {
        for url in ["", "h", "ftp://h", "https://", "https://user:password@h", "https://h/?a=b"] {
            assert_eq!(UrlPrefix::parse(url), Err(UrlPrefixError), "{url}");
        }
    }
}
