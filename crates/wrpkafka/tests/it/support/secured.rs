//! A real broker with a listener for each way to connect: with and without TLS, client certificates and credentials.

use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use realkafka::{Kafka, Setup};
use tokio::sync::MutexGuard;
use wrpkafka::Config;

use super::certificates::{Authority, Identity};
use super::log::{self, LOG};
use super::real_kafka;

pub(crate) const TOPIC: &str = "wrp-events";
pub(crate) const USER: &str = "gateway";
pub(crate) const PASSWORD: &str = "s3cr3t-of-the-gateway";
pub(crate) const WRONG_PASSWORD: &str = "s3cr3t-of-a-stranger";
pub(crate) const MECHANISMS: [&str; 3] = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"];

/// The broker, which is started once and runs until the process ends, and a log that begins now; none without Java, which
/// `realkafka` reports.
pub(crate) async fn broker() -> Option<Alone> {
    static BROKER: LazyLock<Option<Secured>> = LazyLock::new(Secured::start);
    let alone = real_kafka().await;
    log::start();
    Some(Alone { broker: BROKER.as_ref()?, _alone: alone })
}

/// The broker, for one test at a time.
pub(crate) struct Alone {
    broker: &'static Secured,
    _alone: MutexGuard<'static, ()>,
}

impl Deref for Alone {
    type Target = Secured;

    fn deref(&self) -> &Secured {
        self.broker
    }
}

/// A broker with a listener for each way to connect, and the files that its clients need.
pub(crate) struct Secured {
    pub(crate) kafka: Kafka,
    pub(crate) folder: PathBuf,
    client: Identity,
}

impl Secured {
    fn start() -> Option<Self> {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("security-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let at = |name: &str| folder.join(name);
        let authority = Authority::new("the brokers' authority");
        authority.write(&at("ca.pem"));
        authority.issue(&["localhost", "127.0.0.1"]).write_keystore(&at("broker.pem"));
        authority.issue(&["elsewhere.test"]).write_keystore(&at("elsewhere.pem"));
        authority.issue_expired(&["127.0.0.1"]).write_keystore(&at("expired.pem"));
        let client = authority.issue(&["gateway.test"]);
        client.write(&at("client.pem"), &at("client-key.pem"));
        let other = Authority::new("another authority");
        other.write(&at("other-ca.pem"));
        other.issue(&["gateway.test"]).write(&at("foreign.pem"), &at("foreign-key.pem"));
        // The listener `ROTATED` shares no file with the others.
        rotate(&folder);

        let keystore = |prefix: &str, file: &str| {
            format!("{prefix}ssl.keystore.type=PEM\n{prefix}ssl.keystore.location={}\n", at(file).display())
        };
        let mutual = |name: &str, ca: &str| {
            format!(
                "{name}ssl.client.auth=required\n{name}ssl.truststore.type=PEM\n{name}ssl.truststore.location={}\n",
                at(ca).display()
            )
        };
        let mut properties = [
            keystore("", "broker.pem"),
            keystore("listener.name.elsewhere.", "elsewhere.pem"),
            keystore("listener.name.expired.", "expired.pem"),
            mutual("listener.name.mutual.", "ca.pem"),
            keystore("listener.name.rotated.", "rotated-broker.pem"),
            mutual("listener.name.rotated.", "rotated-ca.pem"),
            format!("sasl.enabled.mechanisms={}\n", MECHANISMS.join(",")),
        ]
        .concat();
        properties += "listener.name.only_scram.sasl.enabled.mechanisms=SCRAM-SHA-256,SCRAM-SHA-512\n";
        for listener in ["sasl_plaintext", "sasl_ssl", "only_scram"] {
            properties += &format!(
                "listener.name.{listener}.plain.sasl.jaas.config=\
                 org.apache.kafka.common.security.plain.PlainLoginModule required user_{USER}=\"{PASSWORD}\";\n"
            );
            for scram in ["scram-sha-256", "scram-sha-512"] {
                properties += &format!(
                    "listener.name.{listener}.{scram}.sasl.jaas.config=\
                     org.apache.kafka.common.security.scram.ScramLoginModule required;\n"
                );
            }
        }
        properties += "listener.name.tokens.sasl.enabled.mechanisms=OAUTHBEARER\n\
             listener.name.tokens.oauthbearer.connections.max.reauth.ms=3600000\n\
             listener.name.tokens.oauthbearer.sasl.jaas.config=\
             org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required;\n";
        let kafka = Setup {
            topics: vec![(TOPIC.to_owned(), 4)],
            listeners: vec![
                ("SSL", "SSL"),
                ("MUTUAL", "SSL"),
                ("ELSEWHERE", "SSL"),
                ("EXPIRED", "SSL"),
                ("ROTATED", "SSL"),
                ("SASL_PLAINTEXT", "SASL_PLAINTEXT"),
                ("SASL_SSL", "SASL_SSL"),
                ("ONLY_SCRAM", "SASL_PLAINTEXT"),
                ("TOKENS", "SASL_PLAINTEXT"),
            ],
            properties,
            users: vec![(USER, PASSWORD)],
            ..Setup::default()
        }
        .start()?;
        Some(Self { kafka, folder, client })
    }

    pub(crate) fn file(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    /// The configuration for a listener that asks for no credentials.
    pub(crate) fn config(&self, listener: &str) -> Config {
        Config { brokers: vec![self.kafka.listener(listener)], ..Config::default() }
    }
}

/// Replaces all files of the listener `ROTATED` and its clients by those of another authority.
pub(crate) fn rotate(folder: &Path) {
    let authority = Authority::new("the authority of the season");
    authority.write(&folder.join("rotated-ca.pem"));
    authority.issue(&["127.0.0.1"]).write_keystore(&folder.join("rotated-broker.pem"));
    authority
        .issue(&["gateway.test"])
        .write(&folder.join("rotated-client.pem"), &folder.join("rotated-client-key.pem"));
}

/// The settings that tests combine.
pub(crate) trait With: Sized {
    fn with_tls(self, broker: &Secured) -> Self;
    fn with_client_certificate(self, broker: &Secured) -> Self;
    fn with_sasl(self, mechanism: &str, password: &str) -> Self;
}

impl With for Config {
    fn with_tls(mut self, broker: &Secured) -> Self {
        self.tls.enabled = true;
        self.tls.ca_file = broker.file("ca.pem");
        self
    }

    fn with_client_certificate(mut self, broker: &Secured) -> Self {
        self.tls.cert_file = broker.file("client.pem");
        self.tls.key_file = broker.file("client-key.pem");
        self
    }

    fn with_sasl(mut self, mechanism: &str, password: &str) -> Self {
        if !mechanism.is_empty() {
            self.sasl.mechanism = Some(mechanism.parse().unwrap());
            self.sasl.username = USER.to_owned();
            self.sasl.password = password.into();
        }
        self
    }
}

/// # Panics
/// When a password or the client's key was logged.
pub(crate) fn assert_secrets_kept(broker: &Secured) {
    let log = LOG.text();
    assert!(log.contains("Creating Kafka publisher"), "the log is recorded");
    let key = broker.client.key.serialize_pem();
    let key_line = key.lines().nth(1).unwrap();
    for secret in [PASSWORD, WRONG_PASSWORD, key_line] {
        assert!(!log.contains(secret), "a secret is in the log: {log}");
    }
}
