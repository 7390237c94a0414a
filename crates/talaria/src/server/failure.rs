//! The ways in which connections fail, each under its name in `connection_failures_total`.

/// Why a connection, or a request on it, came to nothing. Each is counted once, whoever attacks or errs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The server held as many connections as it may (`maxConnections`).
    Limit,
    /// The address connected more often than it may (`connectionRate`).
    RateLimited,
    /// The TLS handshake did not end within `readHeaderTimeout`.
    HandshakeTimeout,
    /// The client left during the TLS handshake.
    HandshakeAborted,
    /// The client does not speak TLS.
    NotTls,
    /// There is no version, cipher, signature or protocol that both sides take.
    Incompatible,
    /// The client showed no certificate, and has to.
    NoCertificate,
    /// The client's certificate is none that is taken.
    BadCertificate,
    /// The client does not take the server's certificate, or gave up for a reason of its own.
    RefusedByClient,
    /// The TLS handshake failed in any other way.
    HandshakeFailed,
    /// A request's header did not arrive within `readHeaderTimeout`.
    SlowHeader,
    /// A request's body did not arrive within `readTimeout`.
    SlowBody,
    /// Nobody read a response for `writeTimeout`.
    SlowReader,
    /// A request's header is larger than `maxHeaderBytes`.
    HeaderTooLarge,
    /// A request's body is larger than it may be.
    BodyTooLarge,
    /// What was sent is no HTTP/1.1, or is ambiguous.
    Malformed,
    /// A request's body ended early, or is none.
    BrokenBody,
    /// The credentials that the server asks for were not given.
    Unauthorized,
}

impl Failure {
    /// All of them.
    pub const ALL: [Self; 18] = [
        Self::Limit,
        Self::RateLimited,
        Self::HandshakeTimeout,
        Self::HandshakeAborted,
        Self::NotTls,
        Self::Incompatible,
        Self::NoCertificate,
        Self::BadCertificate,
        Self::RefusedByClient,
        Self::HandshakeFailed,
        Self::SlowHeader,
        Self::SlowBody,
        Self::SlowReader,
        Self::HeaderTooLarge,
        Self::BodyTooLarge,
        Self::Malformed,
        Self::BrokenBody,
        Self::Unauthorized,
    ];

    /// The label `reason` of the metric.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Limit => "limit",
            Self::RateLimited => "rate_limited",
            Self::HandshakeTimeout => "handshake_timeout",
            Self::HandshakeAborted => "handshake_aborted",
            Self::NotTls => "not_tls",
            Self::Incompatible => "incompatible",
            Self::NoCertificate => "no_certificate",
            Self::BadCertificate => "bad_certificate",
            Self::RefusedByClient => "refused_by_client",
            Self::HandshakeFailed => "handshake_failed",
            Self::SlowHeader => "slow_header",
            Self::SlowBody => "slow_body",
            Self::SlowReader => "slow_reader",
            Self::HeaderTooLarge => "header_too_large",
            Self::BodyTooLarge => "body_too_large",
            Self::Malformed => "malformed",
            Self::BrokenBody => "broken_body",
            Self::Unauthorized => "unauthorized",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_has_every_failure_at_its_own_place() {
        for (index, failure) in Failure::ALL.into_iter().enumerate() {
            assert_eq!(failure as usize, index, "{}", failure.as_str());
        }
    }
}
