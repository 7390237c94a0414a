//! Transport security and authentication, as they are written. Files are named here and read by the client's layer.

use std::fmt;

use super::choice::choices;

/// Transport security (`tls`), off by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tls {
    /// Whether connections to the brokers are encrypted.
    pub enabled: bool,
    /// Whether any broker certificate is accepted, without a check. A warning is logged at every start.
    pub insecure_skip_verify: bool,
    /// The client's certificate chain (PEM), for brokers that ask for one; empty: none.
    pub cert_file: String,
    /// The client's private key (PEM), needed with [`cert_file`](Tls::cert_file).
    pub key_file: String,
    /// The authorities (PEM) that brokers' certificates are checked against; empty: the system's.
    pub ca_file: String,
}

/// Authentication (`sasl`), none by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sasl {
    /// How the client authenticates; none: not at all.
    pub mechanism: Option<SaslMechanism>,
    /// The user's name.
    pub username: String,
    /// The user's password.
    pub password: Secret,
    /// A file that holds the password instead, without the line break at its end; empty: none. The file is checked for
    /// changes as certificates are.
    pub password_file: String,
    /// Whom to ask for access tokens (`oauth2`), for [`SaslMechanism::OAuthBearer`].
    pub oauth2: OAuth2,
}

/// A token server, and what it gives tokens for: the client credentials of OAuth 2.0 (RFC 6749 §4.4).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OAuth2 {
    /// The URL that is asked for tokens, of http or https.
    pub token_url: String,
    /// The client's id.
    pub client_id: String,
    /// The client's secret.
    pub client_secret: Secret,
    /// A file that holds the secret instead, without the line break at its end; empty: none. It is read for each request.
    pub client_secret_file: String,
    /// What the token must allow; may be empty.
    pub scopes: Vec<String>,
    /// Whom the token must be for; empty: the token server decides.
    pub audience: String,
    /// What is sent to the broker beside the token (RFC 7628 §3.1), for instance `logicalCluster` by Confluent Cloud.
    pub extensions: Vec<(String, String)>,
    /// The authorities (PEM) that the token server's certificate is checked against; empty: the system's.
    pub ca_file: String,
}

/// How the client proves its user's identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SaslMechanism {
    /// The password itself (RFC 4616).
    Plain,
    /// A proof of the password (RFC 7677).
    ScramSha256,
    /// As SCRAM-SHA-256, with SHA-512.
    ScramSha512,
    /// An access token (RFC 7628), which is fetched from a token server: [`OAuth2`].
    OAuthBearer,
}

choices!(
    SaslMechanism,
    exact,
    Plain = "PLAIN",
    ScramSha256 = "SCRAM-SHA-256",
    ScramSha512 = "SCRAM-SHA-512",
    OAuthBearer = "OAUTHBEARER"
);

/// A text that is never shown: its [`fmt::Debug`] prints stars.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Tls {
    /// Whether brokers' certificates are accepted unchecked.
    #[must_use]
    pub fn is_unverified(&self) -> bool {
        self.enabled && self.insecure_skip_verify
    }
}

impl Secret {
    /// The secret itself. Called only where it is handed over.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "\"\"" } else { "\"***\"" })
    }
}
