//! Hosts that move while their addresses are kept.

use std::path::PathBuf;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use rcgen::{CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use talaria_protocol::receiver_answer::Method;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::event::config::{ClientCertificate, CredentialsConfig, Http2Offer, ReceiverTls, UrlPrefix};
use crate::event::http::connection::{Connection, Probe, Written};

/// A network in which the host has these addresses, one after the other; the last one stays.
fn network(addresses: &'static [&'static str]) -> Network {
    let asked = AtomicUsize::new(0);
    let resolver = Resolver::with(Duration::from_secs(30), move |_| {
        let number = asked.fetch_add(1, Relaxed).min(addresses.len() - 1);
        Ok(vec![addresses[number].parse().unwrap()])
    });
    Network {
        addresses: Addresses::All,
        resolver,
        tls: Arc::new(Tls::new(Http2Offer::Offered, &[])),
        instances: None,
    }
}

async fn is_connected(network: &Network, port: u16) -> bool {
    let origin = Origin { tls: false, host: "moving".into(), port };
    network.dial(&origin, &Lookup::new()).await.is_ok()
}

#[tokio::test]
async fn a_host_is_looked_up_again_after_a_failed_connection() {
    let network = network(&["127.0.0.2", "127.0.0.1", "127.0.0.3"]);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    assert!(!is_connected(&network, port).await);
    // The second answer is kept.
    for _ in 0..3 {
        assert!(is_connected(&network, port).await);
    }
}

#[tokio::test]
async fn a_host_that_has_moved_is_found_with_the_same_attempt() {
    let network = network(&["127.0.0.1", "127.0.0.2"]);
    let before = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = before.local_addr().unwrap().port();
    let _after = TcpListener::bind(("127.0.0.2", port)).await.unwrap();
    assert!(is_connected(&network, port).await);
    drop(before);
    assert!(is_connected(&network, port).await);
}

#[tokio::test]
async fn connections_go_to_the_instances_in_turn_and_to_the_host_if_none_answers() {
    let listener = |_| TcpListener::bind("127.0.0.1:0");
    let [host, one, other] =
        futures_util::future::join_all([0, 1, 2].map(listener)).await.try_into().unwrap();
    let [host, one, other] = [host, one, other].map(Result::unwrap);
    let port = |listener: &TcpListener| listener.local_addr().unwrap().port();
    let instances = Arc::new(ReceiverInstances::default());
    let url = |listener: &TcpListener| format!("http://127.0.0.1:{}", port(listener));
    instances.set([&*url(&one), &*url(&other)]);
    let network = network(&["127.0.0.1"]).with_instances(Arc::clone(&instances));
    for listener in [&one, &other, &one] {
        assert!(is_connected(&network, port(&host)).await);
        drop(listener.accept().await.unwrap());
    }

    drop(other);
    assert!(is_connected(&network, port(&host)).await);
    drop(one.accept().await.unwrap());
    drop(one);
    for _ in 0..2 {
        assert!(is_connected(&network, port(&host)).await);
        drop(host.accept().await.unwrap());
    }
    instances.set([]);
    assert!(is_connected(&network, port(&host)).await);
}

/// An authority, and the files of what it has issued, in a folder that is removed at the end.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: PathBuf,
}

impl Authority {
    fn new() -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let name = format!("talaria-dial-{}-{}", std::process::id(), NUMBER.fetch_add(1, Relaxed));
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        std::fs::write(folder.join("ca"), issuer.pem()).unwrap();
        Self { issuer, folder }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The files of a client's certificate and its key.
    fn client(&self) -> ClientCertificate {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["gateway.example".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        std::fs::write(self.file("certificate"), certificate.pem()).unwrap();
        std::fs::write(self.file("key"), key.serialize_pem()).unwrap();
        ClientCertificate { certificate_file: self.file("certificate"), key_file: self.file("key") }
    }

    /// Starts a receiver that speaks these protocols, and asks clients for a certificate. Returns its port, and whether each
    /// client had one.
    async fn receiver(&self, protocols: &[&[u8]]) -> (u16, tokio::sync::mpsc::UnboundedReceiver<bool>) {
        let acceptor = self.acceptor(protocols);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (sender, seen) = tokio::sync::mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                if let Ok(stream) = acceptor.accept(stream).await {
                    let _ = sender.send(stream.get_ref().1.peer_certificates().is_some());
                }
            }
        });
        (port, seen)
    }

    /// The TLS of a receiver that speaks these protocols, and asks clients for a certificate.
    fn acceptor(&self, protocols: &[&[u8]]) -> TlsAcceptor {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["receiver.example".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).unwrap();
        let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(clients.allow_unauthenticated().build().unwrap())
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            )
            .unwrap();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        TlsAcceptor::from(Arc::new(config))
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A network for `https://receiver.example:<port>`, which is on this host.
fn secured(port: u16, http2: Http2Offer, tls: Option<ReceiverTls>) -> (Network, Origin) {
    let at = UrlPrefix::parse(&format!("https://receiver.example:{port}")).unwrap();
    let origin = at.origin().clone();
    let credentials = [CredentialsConfig { at, signature: None, tls, oauth2: None }];
    let network = Network { tls: Arc::new(Tls::new(http2, &credentials)), ..network(&["127.0.0.1"]) };
    (network, origin)
}

#[tokio::test]
async fn a_receiver_is_trusted_by_its_own_authority_and_no_other() {
    let (authority, other) = (Authority::new(), Authority::new());
    let (port, _seen) = authority.receiver(&[]).await;
    for (ca_file, is_trusted) in
        [(None, false), (Some(other.file("ca")), false), (Some(authority.file("ca")), true)]
    {
        let (network, origin) =
            secured(port, Http2Offer::Offered, Some(ReceiverTls { ca_file, client: None }));
        let dialled = network.dial(&origin, &Lookup::new()).await;
        assert_eq!(dialled.is_ok(), is_trusted);
        assert!(is_trusted || matches!(dialled, Err(PostError::Tls(_))));
    }
}

#[tokio::test]
async fn a_receiver_sees_the_certificate_that_is_for_it() {
    let authority = Authority::new();
    let (port, mut seen) = authority.receiver(&[]).await;
    for client in [None, Some(authority.client())] {
        let has_certificate = client.is_some();
        let tls = ReceiverTls { ca_file: Some(authority.file("ca")), client };
        let (network, origin) = secured(port, Http2Offer::Offered, Some(tls));
        let _stream = network.dial(&origin, &Lookup::new()).await.unwrap();
        assert_eq!(seen.recv().await, Some(has_certificate));
    }
}

#[tokio::test]
async fn the_receiver_chooses_the_protocol_among_those_that_are_offered() {
    let authority = Authority::new();
    let tls = || Some(ReceiverTls { ca_file: Some(authority.file("ca")), client: None });
    for (spoken, http2, protocol) in [
        (vec![tls::HTTP2, b"http/1.1"], Http2Offer::Offered, Protocol::Http2),
        (vec![tls::HTTP2, b"http/1.1"], Http2Offer::Withheld, Protocol::Http1),
        (vec![&b"http/1.1"[..]], Http2Offer::Offered, Protocol::Http1),
        (vec![], Http2Offer::Offered, Protocol::Http1),
    ] {
        let (port, _seen) = authority.receiver(&spoken).await;
        let (network, origin) = secured(port, http2, tls());
        let stream = network.dial(&origin, &Lookup::new()).await.unwrap();
        assert_eq!(stream.protocol(), protocol, "{spoken:?} {http2:?}");
    }
}

#[tokio::test]
async fn changed_files_are_used_for_the_next_connection_and_bad_ones_are_not() {
    let authority = Authority::new();
    let (port, _seen) = authority.receiver(&[]).await;
    let tls = ReceiverTls { ca_file: Some(authority.file("in-use")), client: None };
    let other = Authority::new();
    std::fs::copy(other.file("ca"), authority.file("in-use")).unwrap();
    let (network, origin) = secured(port, Http2Offer::Offered, Some(tls));
    assert!(network.dial(&origin, &Lookup::new()).await.is_err());
    std::fs::copy(authority.file("ca"), authority.file("in-use")).unwrap();
    assert!(network.dial(&origin, &Lookup::new()).await.is_ok());
    std::fs::write(authority.file("in-use"), "not a certificate").unwrap();
    assert!(network.dial(&origin, &Lookup::new()).await.is_ok());
}

/// TLS accepts more than its socket does: what waits in it is written, too.
#[tokio::test]
async fn large_requests_arrive_whole_over_tls_one_after_the_other() {
    const HEAD: [&[u8]; 2] = [b"he", b"ad"];
    let authority = Authority::new();
    let acceptor = authority.acceptor(&[]);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let body: Vec<u8> = (0..4_000_000_u32).map(|number| number.to_le_bytes()[1]).collect();
    let expected = [HEAD[0], HEAD[1], &body].concat();
    let served = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = acceptor.accept(stream).await.unwrap();
        for _ in 0..2 {
            let mut received = vec![0; expected.len()];
            stream.read_exact(&mut received).await.unwrap();
            assert!(received == expected);
            stream.write_all(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n").await.unwrap();
            stream.flush().await.unwrap();
        }
        stream
    });
    let tls = ReceiverTls { ca_file: Some(authority.file("ca")), client: None };
    let (network, origin) = secured(port, Http2Offer::Offered, Some(tls));
    let stream = network.dial(&origin, &Lookup::new()).await.unwrap();
    let Ok(Connection::Http1(mut connection)) = Connection::open(stream).await else { panic!() };
    for _ in 0..2 {
        let request = Written { parts: [HEAD[0], HEAD[1], &body], method: Method::Other };
        assert!(matches!(connection.exchange(&request).await, Ok(answer) if answer.status == 202));
        assert!(connection.is_ready(Probe::System));
    }
    drop(served.await.unwrap());
}
