//! Connection problems are named within ten seconds (contract §8.17): real handshakes of the real client with servers that
//! speak TLS, or do not. The problems that need a broker with passwords are in `real_security`.

use std::io::Read as _;
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, Stream};
use wrpkafka::config::Tls;
use wrpkafka::{Config, ConnectionFailure};

use crate::support::certificates::{Authority, Identity};
use crate::support::{eventually, started};

/// How soon a problem must be named.
const WITHIN: Duration = Duration::from_secs(10);

/// The files of one test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("wrpkafka-problems-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn path(&self, file: &str) -> String {
        self.0.join(file).to_str().unwrap().to_owned()
    }

    /// The settings of a client that trusts this authority.
    fn trusting(&self, authority: &Authority) -> Tls {
        authority.write(&self.0.join("ca.pem"));
        Tls { enabled: true, ca_file: self.path("ca.pem"), ..Tls::default() }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // On failure the folder is left to the system, which clears temporary files.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Serves every connection in a thread of its own until the test's process ends.
fn serve(handle: impl Fn(TcpStream) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let handle = Arc::new(handle);
    std::thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            let handle = Arc::clone(&handle);
            std::thread::spawn(move || handle(socket));
        }
    });
    address
}

/// A server with this certificate. After the handshake it answers nothing.
fn tls_server(identity: &Identity, clients: Option<&Authority>) -> String {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add(authority.certificate().der().clone()).unwrap();
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
            builder.with_client_cert_verifier(verifier)
        }
    };
    let key = PrivateKeyDer::try_from(identity.key.serialize_der()).unwrap();
    let config = Arc::new(builder.with_single_cert(vec![identity.certificate.der().clone()], key).unwrap());
    serve(move |mut socket| {
        let mut connection = ServerConnection::new(Arc::clone(&config)).unwrap();
        // Ends when the client closes, or when the handshake fails, which the client learns by an alert.
        let _ = Stream::new(&mut connection, &mut socket).read_to_end(&mut Vec::new());
    })
}

/// The problem that a publisher reports with this server.
fn problem(broker: &str, tls: Tls) -> ConnectionFailure {
    let publisher = started(Config { brokers: vec![broker.to_owned()], tls, ..Config::default() });
    eventually("a problem is found", WITHIN, || publisher.connection_failure().is_some());
    publisher.connection_failure().unwrap()
}

#[test]
fn a_certificate_of_an_authority_that_is_not_trusted_is_named() {
    let server = tls_server(&Authority::new("unknown").issue(&["127.0.0.1"]), None);
    let folder = Folder::new();
    let tls = folder.trusting(&Authority::new("trusted"));
    assert_eq!(problem(&server, tls), ConnectionFailure::UntrustedCertificate);
}

#[test]
fn a_certificate_for_another_host_is_named() {
    let (authority, folder) = (Authority::new("trusted"), Folder::new());
    let server = tls_server(&authority.issue(&["kafka.example.com"]), None);
    assert_eq!(problem(&server, folder.trusting(&authority)), ConnectionFailure::HostName);
}

#[test]
fn a_certificate_that_has_expired_is_named() {
    let (authority, folder) = (Authority::new("trusted"), Folder::new());
    let server = tls_server(&authority.issue_expired(&["127.0.0.1"]), None);
    assert_eq!(problem(&server, folder.trusting(&authority)), ConnectionFailure::CertificateTime);
}

#[test]
fn a_client_certificate_that_is_missing_or_rejected_is_named() {
    let (authority, folder) = (Authority::new("trusted"), Folder::new());
    let server = tls_server(&authority.issue(&["127.0.0.1"]), Some(&authority));
    assert_eq!(problem(&server, folder.trusting(&authority)), ConnectionFailure::ClientCertificate);

    let foreign = Authority::new("unknown").issue(&["client"]);
    foreign.write(&folder.0.join("client.pem"), &folder.0.join("client.key"));
    let mut tls = folder.trusting(&authority);
    tls.cert_file = folder.path("client.pem");
    tls.key_file = folder.path("client.key");
    assert_eq!(problem(&server, tls), ConnectionFailure::ClientCertificate);
}

#[test]
fn one_side_with_tls_and_the_other_without_is_named() {
    let (authority, folder) = (Authority::new("trusted"), Folder::new());
    let with_tls = tls_server(&authority.issue(&["127.0.0.1"]), None);
    assert_eq!(problem(&with_tls, Tls::default()), ConnectionFailure::Protocol);
    // Kafka reads the greeting as the length of a request, and closes.
    let without = serve(|mut socket| drop(socket.read(&mut [0; 4])));
    assert_eq!(problem(&without, folder.trusting(&authority)), ConnectionFailure::Protocol);
}

#[test]
fn a_port_where_no_broker_listens_is_named() {
    let unused = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    assert_eq!(problem(&unused, Tls::default()), ConnectionFailure::Unreachable);
}
