//! SASL OAUTHBEARER (contract §8.19) against a real Apache Kafka, with a token server inside the process.
//!
//! Needs Java and Maven, and says `SKIPPED` where they are missing; with `TALARIA_REQUIRE_KAFKA=1` it fails instead.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use wrpkafka::config::{OAuth2, Sasl, SaslMechanism};
use wrpkafka::{Config, ConnectionFailure, Outcome, Publisher};

use crate::support::events::numbered;
use crate::support::log::LOG;
use crate::support::secured::{Secured, TOPIC, broker};
use crate::support::token_server::{Answer, CLIENT, SECRET, TokenServer};
use crate::support::{PATIENCE, eventually, started};

const SOON: Duration = Duration::from_secs(15);

/// The shortest life that the publisher believes.
const SHORT_LIFE: u64 = 5;

fn config(broker: &Secured, tokens: &TokenServer) -> Config {
    Config {
        sasl: Sasl {
            mechanism: Some(SaslMechanism::OAuthBearer),
            oauth2: OAuth2 {
                token_url: tokens.url(),
                client_id: CLIENT.to_owned(),
                client_secret: SECRET.into(),
                scopes: vec!["kafka".to_owned(), "write".to_owned()],
                audience: "the brokers".to_owned(),
                extensions: vec![("logicalCluster".to_owned(), "lkc-1".to_owned())],
                ..OAuth2::default()
            },
            ..Sasl::default()
        },
        ..broker.config("TOKENS")
    }
}

async fn publish(publisher: &Publisher, n: usize) {
    let message = numbered("event:tokens", "seq=", n, 75);
    let published = tokio::time::timeout(PATIENCE, publisher.publish(&message)).await;
    assert_eq!(published.expect("the record is acknowledged in time"), Ok(Outcome::Accepted), "{n}");
}

#[tokio::test]
async fn a_broker_lets_tokens_in_and_again_after_their_end() {
    let Some(broker) = broker().await else { return };
    let tokens = TokenServer::start(Answer::Token { seconds: SHORT_LIFE });
    let publisher = started(config(&broker, &tokens));
    publish(&publisher, 0).await;
    assert_eq!(publisher.connection_failure(), None);

    let request = tokens.last_request();
    let credentials = STANDARD.encode(format!("{CLIENT}:{SECRET}"));
    assert!(request.to_lowercase().contains(&format!("authorization: basic {credentials}").to_lowercase()));
    assert!(
        request.ends_with("grant_type=client_credentials&scope=kafka+write&audience=the+brokers"),
        "{request}"
    );

    // A token is replaced after four fifths of its life; when the third is given, the first has ended.
    eventually("the third token is given", SOON, || tokens.given() >= 3);
    publish(&publisher, 1).await;
    assert_eq!(publisher.stop(PATIENCE).await.undelivered, 0);
    assert_eq!(broker.kafka.read(TOPIC, "event:tokens", 2).len(), 2);
    let log = LOG.text();
    for secret in [SECRET, &credentials, "eyJhbGciOiJub25lIn0"] {
        assert!(!log.contains(secret), "a secret is in the log: {log}");
    }
}

#[tokio::test]
async fn a_token_server_that_fails_is_named_and_asked_again() {
    let Some(broker) = broker().await else { return };
    let tokens = TokenServer::start(Answer::Status(503));
    let publisher = started(config(&broker, &tokens));
    let submitted = publisher.submit_with(numbered("event:refused", "seq=", 0, 75), None);
    assert!(matches!(submitted, Ok(Outcome::Queued)), "{submitted:?}");
    let fails_by = |failure| publisher.connection_failure() == Some(failure);
    eventually("the token server is named", SOON, || fails_by(ConnectionFailure::NoToken));
    assert!(
        LOG.has_line(ConnectionFailure::NoToken.as_str(), "503 temporarily_unavailable"),
        "{}",
        LOG.text()
    );

    // It would be valid for an hour.
    tokens.set(Answer::EndlessToken);
    eventually("the refusal is named", SOON, || fails_by(ConnectionFailure::Token));
    tokens.set(Answer::Token { seconds: 3600 });
    eventually("the record is delivered", SOON, || {
        publisher.buffered().records == 0 && publisher.connection_failure().is_none()
    });
    assert_eq!(publisher.stop(PATIENCE).await.undelivered, 0);
    assert_eq!(broker.kafka.read(TOPIC, "event:refused", 1).len(), 1);
}
