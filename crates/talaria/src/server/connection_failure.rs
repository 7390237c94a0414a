//! The ways in which connections and requests fail, with their labels in `connection_failures_total`.

/// Why a connection or a request on it failed. Each failure is counted once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionFailure {
    /// The server had as many connections as it may have (`maxConnections`).
    Limit,
    /// The client's address connected more often than it may (`connectionRate`).
    RateLimited,
    /// A proxy's connection begins with something else than a PROXY protocol header.
    BadProxyHeader,
    /// A proxy closed its connection before it sent a PROXY protocol header.
    NoProxyHeader,
    /// A PROXY protocol header did not arrive within `readHeaderTimeout`.
    SlowProxyHeader,
    /// Too many clients connected at the same time for a TLS handshake with this one.
    HandshakeRefused,
    /// The TLS handshake did not end within `readHeaderTimeout`.
    HandshakeTimeout,
    /// The client left during the TLS handshake.
    HandshakeAborted,
    /// The client does not speak TLS.
    NotTls,
    /// There is no version, cipher suite, signature scheme or protocol that both sides support.
    Incompatible,
    /// The client presented no certificate and the server requires one.
    NoCertificate,
    /// The client's certificate was not accepted.
    BadCertificate,
    /// The client's certificate is revoked, or no revocation list says that it is not.
    RevokedCertificate,
    /// The client sent an alert, for instance because it does not accept the server's certificate.
    RefusedByClient,
    /// The TLS handshake failed for any other reason.
    HandshakeFailed,
    /// A request's header did not arrive within `readHeaderTimeout`.
    SlowHeader,
    /// A request's body did not arrive within `readTimeout`.
    SlowBody,
    /// The client did not read a response within `writeTimeout`, or read nothing of it for `writeStallTimeout`.
    SlowReader,
    /// A request's header is larger than `maxHeaderBytes`.
    HeaderTooLarge,
    /// A request's body is larger than it may be.
    BodyTooLarge,
    /// The request is not HTTP/1.1, or can be read in two ways.
    Malformed,
    /// A request's body ended early or is malformed.
    BrokenBody,
    /// The bodies of requests and responses that wait are too much in all, and this is the largest that may go, or the one
    /// for which there is no room.
    NoRoom,
    /// The request does not have the credentials that the server's guard asks for.
    Unauthorized,
    /// A web page of another site made the request.
    CrossSite,
    /// The server does not have the name in the request's `Host`.
    ForeignHost,
}

impl ConnectionFailure {
    /// All of them, each at the index of its number.
    pub const ALL: [Self; 26] = [
        Self::Limit,
        Self::RateLimited,
        Self::BadProxyHeader,
        Self::NoProxyHeader,
        Self::SlowProxyHeader,
        Self::HandshakeRefused,
        Self::HandshakeTimeout,
        Self::HandshakeAborted,
        Self::NotTls,
        Self::Incompatible,
        Self::NoCertificate,
        Self::BadCertificate,
        Self::RevokedCertificate,
        Self::RefusedByClient,
        Self::HandshakeFailed,
        Self::SlowHeader,
        Self::SlowBody,
        Self::SlowReader,
        Self::HeaderTooLarge,
        Self::BodyTooLarge,
        Self::Malformed,
        Self::BrokenBody,
        Self::NoRoom,
        Self::Unauthorized,
        Self::CrossSite,
        Self::ForeignHost,
    ];

    /// The label `reason` of the metric.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Limit => "limit",
            Self::RateLimited => "rate_limited",
            Self::BadProxyHeader => "bad_proxy_header",
            Self::NoProxyHeader => "no_proxy_header",
            Self::SlowProxyHeader => "slow_proxy_header",
            Self::HandshakeRefused => "handshake_refused",
            Self::HandshakeTimeout => "handshake_timeout",
            Self::HandshakeAborted => "handshake_aborted",
            Self::NotTls => "not_tls",
            Self::Incompatible => "incompatible",
            Self::NoCertificate => "no_certificate",
            Self::BadCertificate => "bad_certificate",
            Self::RevokedCertificate => "revoked_certificate",
            Self::RefusedByClient => "refused_by_client",
            Self::HandshakeFailed => "handshake_failed",
            Self::SlowHeader => "slow_header",
            Self::SlowBody => "slow_body",
            Self::SlowReader => "slow_reader",
            Self::HeaderTooLarge => "header_too_large",
            Self::BodyTooLarge => "body_too_large",
            Self::Malformed => "malformed",
            Self::BrokenBody => "broken_body",
            Self::NoRoom => "no_room",
            Self::Unauthorized => "unauthorized",
            Self::CrossSite => "cross_site",
            Self::ForeignHost => "foreign_host",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_has_every_failure_at_its_own_place() {
        for (index, failure) in ConnectionFailure::ALL.into_iter().enumerate() {
            assert_eq!(failure as usize, index, "{}", failure.as_str());
        }
    }
}
