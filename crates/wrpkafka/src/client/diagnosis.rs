//! What a failed connection means, derived from librdkafka's text, since it gives no code.
//!
//! Texts are those of librdkafka 2.12 (`rdkafka_broker.c`, `rdkafka_ssl.c`, `rdkafka_sasl.c`) and OpenSSL 3. A text that
//! is not known here means nothing; that all brokers are down is reported by an error of its own.

use super::events::Certainty::{self, Guessed, Known};
use crate::connection_failure::ConnectionFailure;

/// The cause that the text of a failed connection names, for example
/// `sasl_ssl://kafka:9093/bootstrap: SASL authentication error: … (after 3ms in state AUTH_REQ)`.
///
/// A connection that cannot be opened is no finding, since one broker of several may be away.
pub(super) fn diagnose(text: &str) -> Option<(ConnectionFailure, Certainty)> {
    let has = |part: &str| text.contains(part);
    Some(if has("mechanism handshake failed") {
        // A listener without SASL has no mechanisms and answers the handshake with an error.
        if has("Unsupported SASL mechanism") {
            (ConnectionFailure::Mechanism, Known)
        } else {
            (ConnectionFailure::Protocol, Known)
        }
    } else if has("invalid_token") || has("OAUTHBEARER authentication failed") {
        (ConnectionFailure::Token, Known)
    } else if has("SASL authentication error")
        || has("SASL authentication: ")
        || has("SASL authentication failed")
    {
        (ConnectionFailure::Credentials, Known)
    } else if has("certificate verify failed") || has("Failed to verify broker certificate") {
        (ConnectionFailure::UntrustedCertificate, Known)
    } else if is_certificate_alert(text) {
        (ConnectionFailure::ClientCertificate, Known)
    } else if has("wrong version number") || has("packet length too long") || has("Invalid response size") {
        (ConnectionFailure::Protocol, Known)
    } else if has("client SSL authentication might be required") {
        (ConnectionFailure::ClientCertificate, Guessed)
    } else if has("connecting to a PLAINTEXT broker listener")
        || has("connecting to a SSL listener")
        || has("might require SASL authentication")
    {
        (ConnectionFailure::Protocol, Guessed)
    } else if has("SSL handshake failed") {
        let is_ended = has("Disconnected") || has("Connection reset") || has("unexpected eof");
        (ConnectionFailure::Handshake, if is_ended { Guessed } else { Known })
    } else if has("Disconnected") {
        return disconnected(text).map(|failure| (failure, Guessed));
    } else {
        return None;
    })
}

/// A broker that rejects a connection's first requests ends it within this time, in milliseconds.
const SHORT: u64 = 2_000;

/// What it means that a broker ended a connection without an answer, which depends on the connection's state:
/// `h:1/bootstrap: Disconnected: connection closed by peer (after 3ms in state APIVERSION_QUERY)`.
fn disconnected(text: &str) -> Option<ConnectionFailure> {
    let (_, after) = text.rsplit_once("(after ")?;
    let (lasted, state) = after.split_once("ms in state ")?;
    let is_short = lasted.parse::<u64>().is_ok_and(|lasted| lasted < SHORT);
    match state.split([')', ',']).next()? {
        // With TLS 1.3 the client's handshake is complete before the broker has checked its certificate.
        "APIVERSION_QUERY" if text.contains("ssl://") => Some(ConnectionFailure::ClientCertificate),
        "APIVERSION_QUERY" | "SSL_HANDSHAKE" => Some(ConnectionFailure::Protocol),
        "AUTH_HANDSHAKE" | "AUTH_REQ" => Some(ConnectionFailure::Credentials),
        // A listener that requires SASL answers the first request and ends the connection at the next.
        "UP" if is_short && text.contains("/bootstrap") && !text.contains("sasl_") => {
            Some(ConnectionFailure::Protocol)
        }
        _ => None,
    }
}

/// Whether the broker sent an alert about the client's certificate (RFC 8446 §6.2), in OpenSSL's texts.
fn is_certificate_alert(text: &str) -> bool {
    text.contains("alert")
        && [
            "bad certificate",
            "certificate required",
            "unknown ca",
            "certificate unknown",
            "certificate expired",
            "certificate revoked",
            "unsupported certificate",
            "access denied",
        ]
        .iter()
        .any(|alert| text.contains(alert))
}

/// The broker that could not be connected to, if the text reports that:
/// `host:9092/bootstrap: Connect to ipv4#… failed: … (after 0ms in state CONNECT)`.
pub(super) fn not_opened(text: &str) -> Option<&str> {
    if !text.contains("in state CONNECT") && !text.contains("Failed to resolve") {
        return None;
    }
    text.split_once(": ").map(|(broker, _)| broker)
}

/// The broker's address in such a text: `kafka:9093` of `ssl://kafka:9093/1: …`.
pub(super) fn address(text: &str) -> Option<&str> {
    let (name, _) = text.split_once(": ")?;
    let (_, name) = name.split_once("://")?;
    Some(name.split_once('/').map_or(name, |(address, _)| address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cause_has_texts_of_its_own() {
        for (text, problem) in [
            (
                "sasl_plaintext://h:1/bootstrap: SASL authentication error: Authentication failed: Invalid username or password (after 309ms in state AUTH_REQ)",
                Some((ConnectionFailure::Credentials, Known)),
            ),
            (
                r#"sasl_plaintext://h:1/bootstrap: SASL authentication error: {"status":"invalid_token"} (after 423ms in state AUTH_REQ)"#,
                Some((ConnectionFailure::Token, Known)),
            ),
            (
                "sasl_plaintext://h:1/bootstrap: SASL PLAIN mechanism handshake failed: Broker: Unsupported SASL mechanism: broker's supported mechanisms: SCRAM-SHA-512 (after 3ms in state AUTH_HANDSHAKE)",
                Some((ConnectionFailure::Mechanism, Known)),
            ),
            (
                "sasl_plaintext://h:1/bootstrap: SASL PLAIN mechanism handshake failed: Broker: Request not valid in current SASL state: broker's supported mechanisms:  (after 3ms in state AUTH_HANDSHAKE)",
                Some((ConnectionFailure::Protocol, Known)),
            ),
            (
                "ssl://h:1/bootstrap: SSL handshake failed: error:0A000086:SSL routines::certificate verify failed: broker certificate could not be verified, verify that ssl.ca.location is correctly configured (after 4ms in state SSL_HANDSHAKE)",
                Some((ConnectionFailure::UntrustedCertificate, Known)),
            ),
            (
                "ssl://h:1/bootstrap: SSL handshake failed: Disconnected: connecting to a PLAINTEXT broker listener? (after 2ms in state SSL_HANDSHAKE)",
                Some((ConnectionFailure::Protocol, Guessed)),
            ),
            (
                "plaintext://h:1/bootstrap: Disconnected: requesting ApiVersion: might be caused by incorrect security.protocol configuration (connecting to a SSL listener?) or broker version is < 0.10 (see api.version.request) (after 5ms in state APIVERSION_QUERY)",
                Some((ConnectionFailure::Protocol, Guessed)),
            ),
            (
                "sasl_plaintext://h:1/bootstrap: Disconnected: connection closed by peer: receive 0 after POLLIN (after 29ms in state APIVERSION_QUERY)",
                Some((ConnectionFailure::Protocol, Guessed)),
            ),
            (
                "ssl://h:1/bootstrap: Receive failed: error:0A000412:SSL routines::ssl/tls alert bad certificate: SSL alert number 42 (after 2ms in state APIVERSION_QUERY)",
                Some((ConnectionFailure::ClientCertificate, Known)),
            ),
            (
                "ssl://h:1/bootstrap: SSL handshake failed: error:0A00045C:SSL routines::tlsv13 alert certificate required: SSL alert number 116 (after 2ms in state SSL_HANDSHAKE)",
                Some((ConnectionFailure::ClientCertificate, Known)),
            ),
            (
                "ssl://h:1/bootstrap: SSL handshake failed: error:0A000410:SSL routines::ssl/tls alert handshake failure: SSL alert number 40 (after 2ms in state SSL_HANDSHAKE)",
                Some((ConnectionFailure::Handshake, Known)),
            ),
            (
                "plaintext://h:1/bootstrap: Connect to ipv4#127.0.0.1:1 failed: Connection refused (after 0ms in state CONNECT)",
                None,
            ),
            (
                "h:1/bootstrap: Disconnected: connection closed by peer: receive 0 after POLLIN (after 16ms in state UP)",
                Some((ConnectionFailure::Protocol, Guessed)),
            ),
            ("h:1/bootstrap: Disconnected (after 300000ms in state UP)", None),
            ("h:1/1: Disconnected (after 16ms in state UP)", None),
            (
                "[thrd:h:1/bootstrap]: h:1/bootstrap: Disconnected: connection closed by peer: receive 0 after POLLIN (after 3ms in state APIVERSION_QUERY)",
                Some((ConnectionFailure::Protocol, Guessed)),
            ),
            (
                "[thrd:ssl://h:1/bootstrap]: ssl://h:1/bootstrap: Disconnected: connection reset by peer (after 1ms in state APIVERSION_QUERY, 1 identical error(s) suppressed)",
                Some((ConnectionFailure::ClientCertificate, Guessed)),
            ),
            (
                "[thrd:h:1/bootstrap]: h:1/bootstrap: Disconnected: connection closed by peer (after 2ms in state UP)",
                Some((ConnectionFailure::Protocol, Guessed)),
            ),
            (
                "[thrd:ssl://h:1/bootstrap]: ssl://h:1/bootstrap: Disconnected: connection reset by peer (after 0ms in state SSL_HANDSHAKE)",
                Some((ConnectionFailure::Protocol, Guessed)),
            ),
            ("[thrd:h:1/1]: h:1/1: Disconnected: connection closed by peer (after 2ms in state UP)", None),
            ("[thrd:h:1/bootstrap]: h:1/bootstrap: Disconnected (after 300000ms in state UP)", None),
        ] {
            assert_eq!(diagnose(text), problem, "{text}");
        }
    }

    #[test]
    fn a_connection_that_was_not_opened_differs_from_a_lost_one() {
        let failed = "kafka:9092/bootstrap: Connect to ipv4#10.0.0.1:9092 failed: Connection refused (after 0ms in state CONNECT)";
        assert_eq!(not_opened(failed), Some("kafka:9092/bootstrap"));
        assert_eq!(not_opened("kafka:9092/1: Disconnected (after 3ms in state UP)"), None);
    }

    #[test]
    fn the_brokers_address_is_in_the_text() {
        assert_eq!(address("sasl_ssl://kafka:9093/bootstrap: SSL handshake failed"), Some("kafka:9093"));
        assert_eq!(address("ssl://[::1]:9093/1: Disconnected"), Some("[::1]:9093"));
        assert_eq!(address("2/2 brokers are down"), None);
    }
}
