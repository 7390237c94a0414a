//! What keeps a publisher from its brokers is named, within ten seconds (issue 4): real handshakes of the real client
//! with servers that speak TLS, or do not. What needs a broker that knows passwords is in `real_*`.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are not recognized as tests")]

use std::io::Read as _;
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rcgen::{CertificateParams, Issuer, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, Stream};
use wrpkafka::config::Tls;
use wrpkafka::{Config, ConnectionProblem, Publisher};

/// The bound.
const WITHIN: Duration = Duration::from_secs(10);

/// An authority, and the files of a test.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
    certificate: rcgen::Certificate,
    folder: PathBuf,
}

/// A certificate of an authority's.
struct Signed {
    certificate: rcgen::Certificate,
    key: KeyPair,
}

impl Authority {
    fn new() -> Authority {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("wrpkafka-problems-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, format!("authority {number}"));
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Authority { pem: certificate.pem(), certificate, issuer: Issuer::new(params, key), folder }
    }

    fn sign(&self, name: &str, until: i32) -> Signed {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_after = rcgen::date_time_ymd(until, 1, 1);
        let key = KeyPair::generate().unwrap();
        Signed { certificate: params.signed_by(&key, &self.issuer).unwrap(), key }
    }

    fn write(&self, file: &str, content: &str) -> String {
        let path = self.folder.join(file);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// A client that trusts this authority.
    fn trusted(&self) -> Tls {
        Tls { enabled: true, ca_file: self.write("ca.pem", &self.pem), ..Tls::default() }
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        // What is left lies in the system's folder for such things.
        let _ = std::fs::remove_dir_all(&self.folder);
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

/// A server with this certificate. Those that it lets in get no answer.
fn tls_server(signed: &Signed, clients: Option<&Authority>) -> String {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add(authority.certificate.der().clone()).unwrap();
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
            builder.with_client_cert_verifier(verifier)
        }
    };
    let key = PrivateKeyDer::try_from(signed.key.serialize_der()).unwrap();
    let config = Arc::new(builder.with_single_cert(vec![signed.certificate.der().clone()], key).unwrap());
    serve(move |mut socket| {
        let mut connection = ServerConnection::new(Arc::clone(&config)).unwrap();
        // Ends with the client's farewell, or with the handshake's failure, of which the client is told.
        let _ = Stream::new(&mut connection, &mut socket).read_to_end(&mut Vec::new());
    })
}

/// The problem that a publisher finds with this server.
fn problem(broker: &str, tls: Tls) -> ConnectionProblem {
    let publisher =
        Publisher::new(Config { brokers: vec![broker.to_owned()], tls, ..Config::default() }).unwrap();
    publisher.start().unwrap();
    let begun = Instant::now();
    loop {
        match publisher.problem() {
            Some(problem) => return problem,
            None if begun.elapsed() > WITHIN => panic!("no problem was found within {WITHIN:?}"),
            None => std::thread::sleep(Duration::from_millis(10)),
        }
    }
}

#[test]
fn a_certificate_that_nobody_trusted_has_signed_is_named() {
    let server = tls_server(&Authority::new().sign("127.0.0.1", 2100), None);
    assert_eq!(problem(&server, Authority::new().trusted()), ConnectionProblem::UntrustedCertificate);
}

#[test]
fn a_certificate_for_another_host_is_named() {
    let authority = Authority::new();
    let server = tls_server(&authority.sign("kafka.example.com", 2100), None);
    assert_eq!(problem(&server, authority.trusted()), ConnectionProblem::HostName);
}

#[test]
fn a_certificate_that_has_expired_is_named() {
    let authority = Authority::new();
    let server = tls_server(&authority.sign("127.0.0.1", 2001), None);
    assert_eq!(problem(&server, authority.trusted()), ConnectionProblem::CertificateTime);
}

#[test]
fn a_client_certificate_that_is_missing_or_refused_is_named() {
    let authority = Authority::new();
    let server = tls_server(&authority.sign("127.0.0.1", 2100), Some(&authority));
    assert_eq!(problem(&server, authority.trusted()), ConnectionProblem::ClientCertificate);

    let foreign = Authority::new().sign("client", 2100);
    let mut tls = authority.trusted();
    tls.cert_file = authority.write("client.pem", &foreign.certificate.pem());
    tls.key_file = authority.write("client.key", &foreign.key.serialize_pem());
    assert_eq!(problem(&server, tls), ConnectionProblem::ClientCertificate);
}

#[test]
fn one_side_with_tls_and_the_other_without_is_named() {
    let authority = Authority::new();
    let with_tls = tls_server(&authority.sign("127.0.0.1", 2100), None);
    assert_eq!(problem(&with_tls, Tls::default()), ConnectionProblem::Protocol);
    // Kafka takes the greeting for the length of a request, and closes.
    let without = serve(|mut socket| drop(socket.read(&mut [0; 4])));
    assert_eq!(problem(&without, authority.trusted()), ConnectionProblem::Protocol);
}

#[test]
fn nobody_there_is_named() {
    let unused = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    assert_eq!(problem(&unused, Tls::default()), ConnectionProblem::Unreachable);
}
