//! Why the publisher cannot work with its brokers: one name for each cause.

use std::fmt;

/// What keeps the publisher from its brokers. Records wait meanwhile; nothing is lost by it (contract §8.17).
///
/// The client reports a failed connection as text, from which the cause is derived. Where two causes have the same text,
/// the more likely one is named; the log line has the client's text beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConnectionFailure {
    /// The broker does not know the user, or the password is wrong.
    Credentials,
    /// No token server gives an access token for the broker.
    NoToken,
    /// The broker does not accept the access token.
    Token,
    /// The broker does not offer the configured SASL mechanism.
    Mechanism,
    /// The broker's certificate was not signed by a trusted authority.
    UntrustedCertificate,
    /// The broker's certificate is for another host name.
    HostName,
    /// The broker's certificate has expired or is not valid yet.
    CertificateTime,
    /// The broker requires a client certificate, and there is none, or the broker does not trust it.
    ClientCertificate,
    /// One side uses TLS or SASL and the other does not.
    Protocol,
    /// The two sides have no TLS version or cipher in common.
    Handshake,
    /// No broker accepts a connection.
    Unreachable,
    /// Brokers are connected, but have acknowledged no record for five seconds.
    Unacknowledged,
}

impl ConnectionFailure {
    /// Every cause, in the order of the enum.
    pub const ALL: [Self; 12] = [
        Self::Credentials,
        Self::NoToken,
        Self::Token,
        Self::Mechanism,
        Self::UntrustedCertificate,
        Self::HostName,
        Self::CertificateTime,
        Self::ClientCertificate,
        Self::Protocol,
        Self::Handshake,
        Self::Unreachable,
        Self::Unacknowledged,
    ];

    /// What is wrong and which settings to check, in one line without secrets.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Credentials => "wrong credentials: the broker refuses sasl.username or the password",
            Self::NoToken => {
                "there is no access token for the broker: see sasl.oauth2 and whether the token server answers"
            }
            Self::Token => {
                "the broker refuses the access token: see sasl.oauth2 and what the broker's listener expects of a token"
            }
            Self::Mechanism => {
                "the broker does not offer this mechanism: see sasl.mechanism and the broker's listener"
            }
            Self::UntrustedCertificate => {
                "the broker's certificate is not trusted: no authority in tls.caFile has signed it"
            }
            Self::HostName => {
                "the broker's certificate is for another host name: see brokers and the certificate"
            }
            Self::CertificateTime => {
                "the broker's certificate has expired or is not valid yet: see the certificate and the clocks"
            }
            Self::ClientCertificate => {
                "the broker requires a client certificate that it trusts: see tls.certFile and tls.keyFile"
            }
            Self::Protocol => {
                "the broker speaks another protocol: see tls.enabled, sasl.mechanism and the broker's listener"
            }
            Self::Handshake => {
                "the TLS handshake with the broker fails: see the versions and ciphers of both sides"
            }
            Self::Unreachable => {
                "no kafka broker can be reached: see brokers, the network and whether they run"
            }
            Self::Unacknowledged => {
                "the brokers acknowledge no record: see whether they hang, whether enough replicas are in sync and whether the topics exist"
            }
        }
    }

    /// Whether no broker can have let the client in: brokers answer, but do not accept it, or it has no token to show.
    pub(crate) fn is_rejection(self) -> bool {
        !matches!(self, Self::Unreachable | Self::Unacknowledged)
    }
}

impl fmt::Display for ConnectionFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_has_its_own_text() {
        let texts: std::collections::HashSet<_> = ConnectionFailure::ALL.iter().map(|f| f.as_str()).collect();
        assert_eq!(texts.len(), ConnectionFailure::ALL.len());
        for (i, failure) in ConnectionFailure::ALL.into_iter().enumerate() {
            assert_eq!(failure as usize, i);
        }
    }
}
