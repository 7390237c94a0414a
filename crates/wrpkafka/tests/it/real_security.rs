//! Every way of authentication and encryption against a real Apache Kafka, and the problem that each wrong one reports.
//!
//! Needs Java and Maven, and says `SKIPPED` where they are missing; with `TALARIA_REQUIRE_KAFKA=1` it fails instead.
//! All tests share one broker that has all listeners, so they run one after the other.
use std::time::{Duration, Instant};

use realkafka::Record;
use wrpkafka::{Config, ConnectionFailure, Outcome, Publisher};

use crate::support::events::numbered;
use crate::support::log::LOG;
use crate::support::secured::{
    PASSWORD, Secured, TOPIC, WRONG_PASSWORD, With as _, assert_secrets_kept, broker, rotate,
};
use crate::support::{PATIENCE, eventually, pass_time, started};

/// How often files are checked for changes in these tests.
const FILE_CHECK: Duration = Duration::from_millis(200);
/// How soon a wrong setting must be reported.
const SOON: Duration = Duration::from_secs(10);

#[tokio::test]
async fn every_mechanism_publishes_with_and_without_tls() {
    const EVENTS: usize = 5;
    let Some(broker) = broker().await else { return };
    let mut ways: Vec<(String, Config)> = Vec::new();
    for mechanism in ["", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] {
        let (plain, tls) = match mechanism {
            "" => ("PLAINTEXT", "SSL"),
            _ => ("SASL_PLAINTEXT", "SASL_SSL"),
        };
        ways.push((format!("{mechanism}/plain"), broker.config(plain).with_sasl(mechanism, PASSWORD)));
        ways.push((
            format!("{mechanism}/tls"),
            broker.config(tls).with_tls(&broker).with_sasl(mechanism, PASSWORD),
        ));
    }
    ways.push((
        "mutual/tls".to_owned(),
        broker.config("MUTUAL").with_tls(&broker).with_client_certificate(&broker),
    ));

    for (way, config) in &ways {
        let publisher = started(config.clone());
        for n in 0..EVENTS {
            let message = numbered(&format!("event:{way}"), "seq=", n, 75);
            let published = tokio::time::timeout(PATIENCE, publisher.publish(&message)).await;
            assert!(matches!(published, Ok(Ok(_))), "{way}: {published:?}");
        }
        assert_eq!(publisher.stop(PATIENCE).await.undelivered, 0, "{way}");
    }
    let records = broker.kafka.read(TOPIC, "event:", ways.len() * EVENTS);
    for (way, _) in &ways {
        let key = format!("event:{way}");
        let read = records.iter().filter(|record| record.key.as_ref() == Some(&key)).count();
        println!("{way}: {read} records");
        assert_eq!(read, EVENTS, "{way}");
    }
    assert_secrets_kept(&broker);
}

#[tokio::test]
async fn each_wrong_setting_is_reported_by_its_own_name_within_ten_seconds_and_no_secret_is_logged() {
    let Some(broker) = broker().await else { return };
    let other_authority = |mut config: Config| {
        config.tls.ca_file = broker.file("other-ca.pem");
        config
    };
    let sasl = |mechanism: &str, password: &str| {
        broker.config("SASL_SSL").with_tls(&broker).with_sasl(mechanism, password)
    };
    let mut unknown_user = sasl("SCRAM-SHA-512", PASSWORD);
    unknown_user.sasl.username = "stranger".to_owned();
    let mut foreign_certificate = broker.config("MUTUAL").with_tls(&broker);
    foreign_certificate.tls.cert_file = broker.file("foreign.pem");
    foreign_certificate.tls.key_file = broker.file("foreign-key.pem");
    let unused_port = Config { brokers: vec!["127.0.0.1:1".to_owned()], ..Config::default() };
    let wrong = [
        ("wrong password, PLAIN", sasl("PLAIN", WRONG_PASSWORD), ConnectionFailure::Credentials),
        (
            "wrong password, SCRAM-SHA-256",
            sasl("SCRAM-SHA-256", WRONG_PASSWORD),
            ConnectionFailure::Credentials,
        ),
        (
            "wrong password, SCRAM-SHA-512",
            sasl("SCRAM-SHA-512", WRONG_PASSWORD),
            ConnectionFailure::Credentials,
        ),
        (
            "wrong password without TLS",
            broker.config("SASL_PLAINTEXT").with_sasl("PLAIN", WRONG_PASSWORD),
            ConnectionFailure::Credentials,
        ),
        ("unknown user", unknown_user, ConnectionFailure::Credentials),
        (
            "a mechanism that the broker does not offer",
            broker.config("ONLY_SCRAM").with_sasl("PLAIN", PASSWORD),
            ConnectionFailure::Mechanism,
        ),
        (
            "untrusted authority",
            other_authority(broker.config("SSL").with_tls(&broker)),
            ConnectionFailure::UntrustedCertificate,
        ),
        (
            "untrusted authority, with credentials",
            other_authority(sasl("PLAIN", PASSWORD)),
            ConnectionFailure::UntrustedCertificate,
        ),
        ("wrong host name", broker.config("ELSEWHERE").with_tls(&broker), ConnectionFailure::HostName),
        (
            "no client certificate",
            broker.config("MUTUAL").with_tls(&broker),
            ConnectionFailure::ClientCertificate,
        ),
        (
            "a client certificate of another authority",
            foreign_certificate,
            ConnectionFailure::ClientCertificate,
        ),
        ("plaintext to a TLS port", broker.config("SSL"), ConnectionFailure::Protocol),
        (
            "TLS to a plaintext port",
            broker.config("PLAINTEXT").with_tls(&broker),
            ConnectionFailure::Protocol,
        ),
        (
            "credentials without TLS to a TLS port",
            broker.config("SASL_SSL").with_sasl("PLAIN", PASSWORD),
            ConnectionFailure::Protocol,
        ),
        (
            "no credentials to a port that wants them",
            broker.config("SASL_PLAINTEXT"),
            ConnectionFailure::Protocol,
        ),
        (
            "credentials to a port that takes none",
            broker.config("PLAINTEXT").with_sasl("PLAIN", PASSWORD),
            ConnectionFailure::Protocol,
        ),
        (
            "expired certificate",
            broker.config("EXPIRED").with_tls(&broker),
            ConnectionFailure::CertificateTime,
        ),
        ("no broker there", unused_port, ConnectionFailure::Unreachable),
    ];

    let begun = Instant::now();
    let publishers = wrong.map(|(what, config, expected)| {
        let port = config.brokers[0].rsplit_once(':').map(|(_, port)| format!(":{port}")).unwrap();
        let publisher = started(config);
        let submitted = publisher.submit_with(numbered("event:wrong", "seq=", 0, 75), None);
        assert!(matches!(submitted, Ok(Outcome::Queued)), "{what}: {submitted:?}");
        (what, publisher, port, expected)
    });
    // Another cause may be reported first: only the last one counts.
    let as_expected = || {
        publishers.iter().all(|(_, publisher, _, expected)| publisher.connection_failure() == Some(*expected))
    };
    while !as_expected() && begun.elapsed() < SOON {
        pass_time(Duration::from_millis(20));
    }
    println!("all were reported after {:?}", begun.elapsed());
    let mut faults = Vec::new();
    for (what, publisher, port, expected) in &publishers {
        let found = publisher.connection_failure();
        println!("{what}: {found:?}");
        if found != Some(*expected) {
            faults.push(format!("{what}: {found:?} instead of {expected:?}"));
        }
        // That all brokers are down is reported without an address.
        let port = if *expected == ConnectionFailure::Unreachable { "" } else { port };
        if !LOG.has_line(expected.as_str(), port) {
            faults.push(format!("{what}: the log does not say: {expected}"));
        }
        if publisher.stop(Duration::ZERO).await.undelivered != 1 {
            faults.push(format!("{what}: the record was delivered"));
        }
    }
    assert!(faults.is_empty(), "{faults:#?}\n{}", LOG.text());
    assert_secrets_kept(&broker);
}

#[tokio::test]
async fn a_password_may_come_from_a_file_and_change_there() {
    let Some(broker) = broker().await else { return };
    let file = broker.folder.join("password");
    std::fs::write(&file, WRONG_PASSWORD).unwrap();
    let mut config = broker.config("SASL_SSL").with_tls(&broker).with_sasl("SCRAM-SHA-512", "");
    config.sasl.password_file = file.display().to_string();
    config.file_check_interval = FILE_CHECK;
    let publisher = started(config);
    eventually("the wrong password is refused", SOON, || {
        publisher.connection_failure() == Some(ConnectionFailure::Credentials)
    });
    std::fs::write(&file, format!("{PASSWORD}\n")).unwrap();
    let message = numbered("event:password-file", "seq=", 0, 75);
    let published = tokio::time::timeout(PATIENCE, publisher.publish(&message)).await;
    assert_eq!(published.unwrap(), Ok(Outcome::Accepted));
    assert_eq!(publisher.connection_failure(), None);
    publisher.stop(PATIENCE).await;
    assert_secrets_kept(&broker);
}

#[tokio::test]
async fn a_password_that_was_changed_to_a_wrong_one_and_back_costs_no_record() {
    let Some(broker) = broker().await else { return };
    let right = broker.config("SASL_SSL").with_tls(&broker).with_sasl("SCRAM-SHA-256", PASSWORD);
    let wrong = right.clone().with_sasl("SCRAM-SHA-256", WRONG_PASSWORD);
    let publisher = started(right.clone());
    let mut load = Load::new("event:changed-password");
    load.run(&publisher, Duration::from_secs(1));
    publisher.update_security(wrong.tls, wrong.sasl).unwrap();
    load.run(&publisher, Duration::from_secs(1));
    eventually("the wrong password is refused", SOON, || {
        publisher.connection_failure() == Some(ConnectionFailure::Credentials)
    });
    load.run(&publisher, Duration::from_secs(1));
    publisher.update_security(right.tls, right.sasl).unwrap();
    load.run(&publisher, Duration::from_secs(1));
    load.assert_delivered_once(&publisher, &broker).await;
    assert_eq!(publisher.connection_failure(), None);
    assert_secrets_kept(&broker);
}

#[tokio::test]
async fn certificates_that_change_on_disk_while_records_are_published_cost_nothing() {
    let Some(broker) = broker().await else { return };
    let mut config = broker.config("ROTATED");
    config.tls.enabled = true;
    config.tls.ca_file = broker.file("rotated-ca.pem");
    config.tls.cert_file = broker.file("rotated-client.pem");
    config.tls.key_file = broker.file("rotated-client-key.pem");
    config.file_check_interval = FILE_CHECK;
    let publisher = started(config);
    let mut load = Load::new("event:rotated");
    load.run(&publisher, Duration::from_secs(1));
    // Nothing of before is trusted from here on, by either side: the broker has its files when it starts.
    rotate(&broker.folder);
    load.run(&publisher, Duration::from_secs(1));
    broker.kafka.kill_node(1);
    load.run(&publisher, Duration::from_secs(1));
    broker.kafka.restart_node(1);
    load.run(&publisher, Duration::from_secs(1));
    load.assert_delivered_once(&publisher, &broker).await;
    assert_secrets_kept(&broker);
}

/// Records that matter, of one device that no other test uses.
struct Load {
    device: &'static str,
    sent: usize,
}

impl Load {
    fn new(device: &'static str) -> Self {
        Self { device, sent: 0 }
    }

    /// A few hundred a second.
    fn run(&mut self, publisher: &Publisher, length: Duration) {
        let begun = Instant::now();
        while begun.elapsed() < length {
            publisher.submit_with(numbered(self.device, "seq=", self.sent, 75), None).unwrap();
            self.sent += 1;
            pass_time(Duration::from_millis(2));
        }
    }

    async fn assert_delivered_once(&self, publisher: &Publisher, broker: &Secured) {
        assert_eq!(publisher.stop(PATIENCE).await.undelivered, 0);
        let records = broker.kafka.read(TOPIC, self.device, self.sent);
        let numbers: Vec<Vec<u8>> = records.iter().map(Record::value).collect();
        let expected: Vec<Vec<u8>> = (0..self.sent).map(|n| value(self.device, n)).collect();
        assert_eq!(numbers.len(), expected.len(), "each record once");
        assert!(numbers == expected, "in order");
    }
}

/// The record of the [`Load`]'s event with this number.
fn value(device: &str, number: usize) -> Vec<u8> {
    let mut value = Vec::new();
    numbered(device, "seq=", number, 75).as_ref().encode_v5(&mut value);
    value
}
