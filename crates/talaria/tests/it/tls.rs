//! TLS of the servers over real sockets (contract §9.8): who is let in, with what, and what a change of files does.

mod records;
mod resumption;

use std::cell::Cell;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ::http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, HandshakeKind, ProtocolVersion};
use talaria::server::tls::{self, Version, Versions};
use talaria::server::{
    Body, ClientCertificate, Config, ConnectionMetrics, Handler, RunningServer, Server, incoming, reply,
};
use talaria::telemetry::metrics::Metrics;
use talaria_protocol::answer::TEXT;
use talaria_protocol::rate::Rate;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::support::certificates::Authority;
use crate::support::gateway::{any_port, identity, metric};
use crate::support::http::Client;
use crate::support::{eventually, http, time_passes};

/// Reached only by a test that fails.
const PATIENCE: Duration = Duration::from_secs(30);
const GET: &str = "GET / HTTP/1.1\r\nHost: t\r\n\r\n";
const LARGEST: usize = 4 << 20;

/// Answers with the request's body, and at `/endless` without end.
struct Echo;

impl Handler for Echo {
    async fn handle(&self, request: Request<Incoming>) -> Response<Body> {
        if request.uri().path() == "/endless" {
            return Body::pieces(std::iter::repeat_with(|| vec![b'x'; 64 * 1024].into())).into_response();
        }
        if request.uri().path() == "/certificate" {
            let certificate = request.extensions().get::<ClientCertificate>();
            let certificate = certificate.map(|ClientCertificate(der)| der.to_vec());
            return reply::with_body(StatusCode::OK, TEXT, certificate.unwrap_or_default());
        }
        match incoming::read(request, LARGEST).await {
            Ok((_, body)) => reply::with_body(StatusCode::OK, TEXT, body),
            Err(error) => error.into_response(),
        }
    }
}

trait IntoResponse {
    fn into_response(self) -> Response<Body>;
}

impl IntoResponse for Body {
    fn into_response(self) -> Response<Body> {
        reply::with_body(StatusCode::OK, TEXT, self)
    }
}

struct Fixture {
    server: RunningServer,
    metrics: Metrics,
}

fn tls(authority: &Authority) -> tls::Config {
    let pair = authority.pair("server", &["talaria.test"]);
    tls::Config::of(vec![pair])
}

fn config(tls: tls::Config) -> Config {
    Config { tls: Some(tls), ..any_port() }
}

fn start(config: Config) -> Fixture {
    let metrics = Metrics::default();
    let server = Server::bind("primary", config, identity(), &ConnectionMetrics::register(&metrics)).unwrap();
    Fixture { server: server.start(Echo), metrics }
}

impl Fixture {
    fn address(&self) -> SocketAddr {
        self.server.local_addr()
    }

    fn failures(&self, reason: &str) -> f64 {
        self.metric(&format!("connection_failures_total{{reason=\"{reason}\",server=\"primary\"}}"))
    }

    fn metric(&self, series: &str) -> f64 {
        metric(&self.metrics, &format!("talaria_talaria_{series}"))
    }

    async fn until_failed(&self, reason: &str, times: f64) {
        eventually(reason, PATIENCE, async || self.failures(reason) >= times).await;
        assert_eq!(self.failures(reason), times, "{reason}");
    }

    async fn connect(&self, client: ClientConfig) -> std::io::Result<TlsStream<TcpStream>> {
        connect(self.address(), client, "talaria.test").await
    }

    /// The status of a request over a connection of its own; what TLS 1.3 refuses shows with the first read only.
    async fn ask(&self, client: ClientConfig) -> Result<u16, String> {
        let socket = self.connect(client).await.map_err(|error| error.to_string())?;
        let mut client = Client::over(socket);
        client.socket.write_all(GET.as_bytes()).await.map_err(|error| error.to_string())?;
        client.next_response().await.map(|response| response.status).ok_or_else(|| "closed".to_owned())
    }
}

async fn connect(
    address: SocketAddr,
    client: ClientConfig,
    name: &str,
) -> std::io::Result<TlsStream<TcpStream>> {
    let tcp = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    TlsConnector::from(Arc::new(client)).connect(name, tcp).await
}

fn plain_client(authority: &Authority) -> ClientConfig {
    authority.client(None, &[&TLS13, &TLS12])
}

#[tokio::test]
async fn mutual_tls_lets_in_who_shows_a_certificate_of_the_authority_and_counts_the_others() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let (good, foreign) = (ours.issue(&["device"]), theirs.issue(&["device"]));
    println!("{:<8} {:<12} {:<8} counted as", "version", "certificate", "answer");
    for version in [&TLS12, &TLS13] {
        let fixture = start(config(tls::Config { client_ca: Some(ours.ca()), ..tls(&ours) }));
        for (name, certificate, counted) in [
            ("ours", Some(&good), ""),
            ("none", None, "no_certificate"),
            ("theirs", Some(&foreign), "bad_certificate"),
        ] {
            let answer = fixture.ask(ours.client(certificate, &[version])).await;
            println!("{:?} {name:<12} {answer:?} {counted}", version.version);
            assert_eq!(answer.is_ok(), counted.is_empty(), "{answer:?}");
            if !counted.is_empty() {
                fixture.until_failed(counted, 1.0).await;
            }
        }
    }
}

/// contract §9.8, §14.29
#[tokio::test]
async fn a_client_whose_self_signed_certificate_is_in_the_file_of_authorities_is_let_in() {
    let (server, trusted, foreign) = (Authority::new(), Authority::new(), Authority::new());
    for version in [&TLS12, &TLS13] {
        let fixture = start(config(tls::Config { client_ca: Some(trusted.ca()), ..tls(&server) }));
        assert_eq!(fixture.ask(server.client(Some(&trusted.own()), &[version])).await, Ok(200));
        assert!(fixture.ask(server.client(Some(&foreign.own()), &[version])).await.is_err());
        fixture.until_failed("bad_certificate", 1.0).await;
    }
}

/// contract §9.8
#[tokio::test]
async fn a_revoked_client_certificate_is_refused_and_a_list_that_changes_is_read_again() {
    let (ours, other) = (Authority::new(), Authority::new());
    let client = ours.issue(&["device.test"]);
    let serial = ours.last_serial();
    let list = ours.file("revoked.crl");
    let with = |revoked: &[u64]| ours.revocation_list(revoked).pem().unwrap();
    std::fs::write(&list, with(&[serial + 100])).unwrap();
    let tls = tls::Config { client_ca: Some(ours.ca()), client_crls: vec![list.clone()], ..tls(&ours) };
    let fixture = start(config(tls.clone()));
    let ask = async || fixture.ask(ours.client(Some(&client), &[&TLS13])).await;
    let is_accepted = async || ask().await.is_ok();
    assert_eq!(ask().await, Ok(200));

    std::fs::write(&list, with(&[serial])).unwrap();
    eventually("the certificate is revoked", PATIENCE, async || !is_accepted().await).await;
    assert!(fixture.failures("revoked_certificate") >= 1.0);
    // As DER, and with nothing revoked.
    std::fs::write(&list, ours.revocation_list(&[]).der()).unwrap();
    eventually("the certificate is good again", PATIENCE, is_accepted).await;

    // A list of another issuer says nothing about the certificate.
    std::fs::write(&list, other.revocation_list(&[]).pem().unwrap()).unwrap();
    eventually("the certificate is not covered", PATIENCE, async || !is_accepted().await).await;

    std::fs::write(&list, "no list").unwrap();
    let error = tls.check().remove(0);
    assert_eq!(error.key.as_str(), "clientCRLFile");
    assert!(
        error.to_string().ends_with("revoked.crl: expected a certificate revocation list, PEM"),
        "{error}"
    );
}

#[tokio::test]
async fn only_the_configured_versions_are_spoken() {
    let authority = Authority::new();
    let all = [("1.2", &TLS12, Version::V12), ("1.3", &TLS13, Version::V13)];
    println!("{:<6} {:<6} {:<6} answer", "min", "max", "client");
    for (min, max) in
        [(Version::V12, Version::V13), (Version::V12, Version::V12), (Version::V13, Version::V13)]
    {
        let versions = Versions::between(min, max).unwrap();
        let fixture = start(config(tls::Config { versions, ..tls(&authority) }));
        for (name, client, version) in all {
            let answer = fixture.ask(authority.client(None, &[client])).await;
            println!("{min:<6} {max:<6} {name:<6} {answer:?}");
            assert_eq!(answer.is_ok(), (min..=max).contains(&version), "{min} to {max}, {name}: {answer:?}");
        }
        let refused = if min == max { 1.0 } else { 0.0 };
        assert_eq!(fixture.failures("incompatible"), refused);
    }
}

#[tokio::test]
async fn http_1_1_is_the_only_protocol_inside() {
    let authority = Authority::new();
    let fixture = start(config(tls(&authority)));
    let mut client = plain_client(&authority);
    client.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let socket = fixture.connect(client).await.unwrap();
    assert_eq!(socket.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    let mut client = plain_client(&authority);
    client.alpn_protocols = vec![b"h2".to_vec()];
    assert!(fixture.connect(client).await.is_err());
    fixture.until_failed("incompatible", 1.0).await;
}

#[tokio::test]
async fn a_client_gets_the_certificate_of_the_name_that_it_asks_for_and_else_the_first() {
    let authority = Authority::new();
    let pairs = vec![
        authority.pair("first", &["talaria.test"]),
        authority.pair("second", &["other.test", "*.wild.test"]),
    ];
    let fixture = start(config(tls::Config { pairs, ..tls(&authority) }));
    for name in ["talaria.test", "other.test", "a.wild.test"] {
        assert!(connect(fixture.address(), plain_client(&authority), name).await.is_ok(), "{name}");
    }
    let unknown = connect(fixture.address(), plain_client(&authority), "unknown.test").await.unwrap_err();
    assert!(unknown.to_string().contains("talaria.test"), "the first one: {unknown}");
}

/// A handshake hashes much, and SHA-384 is slow; Go's server chooses alike.
#[tokio::test]
async fn of_the_suites_that_a_client_offers_one_with_sha_256_is_chosen() {
    let authority = Authority::new();
    let fixture = start(config(tls(&authority)));
    for (version, chosen, other) in [
        (&TLS12, "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"),
        (&TLS13, "TLS13_AES_128_GCM_SHA256", "TLS13_AES_256_GCM_SHA384"),
    ] {
        let all = rustls::crypto::aws_lc_rs::default_provider();
        let only = |name: &str| {
            let mut provider = all.clone();
            provider.cipher_suites.retain(|suite| format!("{:?}", suite.suite()) == name);
            provider
        };
        for (provider, expected) in [(all.clone(), chosen), (only(other), other)] {
            let client = authority.client_of(provider, None, &[version]);
            let socket = fixture.connect(client).await.unwrap();
            let suite = socket.get_ref().1.negotiated_cipher_suite().unwrap().suite();
            assert_eq!(format!("{suite:?}"), expected);
        }
    }
}

#[tokio::test]
async fn http_in_clear_is_told_that_tls_is_expected() {
    let authority = Authority::new();
    let fixture = start(config(tls(&authority)));
    let response = http::request(fixture.address(), GET).await;
    assert_eq!((response.status, response.header("x-talaria-build")), (400, Some("1.2")));
    assert_eq!(response.text(), "Client sent an HTTP request to an HTTPS server.\n");
    fixture.until_failed("not_tls", 1.0).await;
}

#[tokio::test]
async fn every_limit_of_a_connection_holds_over_tls() {
    let authority = Authority::new();
    let soon = Some(Duration::from_millis(200));
    let limits = Config { max_header_bytes: 1000, max_connections: Some(3), ..config(tls(&authority)) };
    let long = format!("GET / HTTP/1.1\r\nHost: t\r\nX: {}\r\n\r\n", "x".repeat(2000));
    let body = |length: usize| format!("POST / HTTP/1.1\r\nHost: t\r\nContent-Length: {length}\r\n\r\nx");
    let cases = [
        ("slow_header", Config { read_header_timeout: soon, ..limits.clone() }, "GET / HT".to_owned(), None),
        ("slow_body", Config { read_timeout: soon, ..limits.clone() }, body(5), Some(408)),
        (
            "slow_reader",
            Config { write_timeout: soon, ..limits.clone() },
            GET.replace("/ ", "/endless "),
            None,
        ),
        ("header_too_large", limits.clone(), long, Some(431)),
        ("body_too_large", limits.clone(), body(LARGEST + 1), Some(413)),
        ("malformed", limits.clone(), "nonsense\r\n\r\n".to_owned(), Some(400)),
    ];
    println!("{:<18} answer", "limit");
    for (reason, config, request, status) in cases {
        let fixture = start(config);
        let mut client = Client::over(fixture.connect(plain_client(&authority)).await.unwrap());
        client.send(request).await;
        client.socket.flush().await.unwrap();
        if reason == "slow_reader" {
            fixture.until_failed(reason, 1.0).await;
            continue;
        }
        let response = client.next_response().await;
        println!("{reason:<18} {:?}", response.as_ref().map(|response| response.status));
        assert_eq!(response.as_ref().map(|response| response.status), status, "{reason}");
        if let Some(response) = response {
            assert_eq!(response.header("x-talaria-server"), Some("host"), "{reason}");
        }
        assert!(client.rest().await.is_empty(), "{reason}: the connection ends");
        fixture.until_failed(reason, 1.0).await;
    }

    let fixture = start(Config { idle_timeout: soon, ..limits.clone() });
    let mut idle = Client::over(fixture.connect(plain_client(&authority)).await.unwrap());
    idle.send(GET).await;
    assert_eq!(idle.response().await.status, 200);
    assert!(idle.rest().await.is_empty(), "idle");

    let fixture = start(limits);
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(fixture.connect(plain_client(&authority)).await.unwrap());
    }
    assert!(fixture.connect(plain_client(&authority)).await.is_err());
    assert_eq!(fixture.metric("rejected_connections{server=\"primary\"}"), 1.0);
    fixture.until_failed("limit", 1.0).await;
}

#[tokio::test]
async fn an_address_that_connects_too_often_is_turned_away() {
    let rate = Some(Rate::per_second(1, 3));
    let fixture = start(Config { rate, tls: None, ..config(tls(&Authority::new())) });
    let mut answers = Vec::new();
    for _ in 0..5 {
        let mut client = Client::connect(fixture.address()).await;
        let _ = client.socket.write_all(GET.as_bytes()).await;
        answers.push(client.next_response().await.map_or(0, |response| response.status));
    }
    assert_eq!(answers, [200, 200, 200, 0, 0]);
    fixture.until_failed("rate_limited", 2.0).await;
}

#[tokio::test]
async fn a_flood_of_handshakes_that_go_nowhere_is_counted_and_keeps_nobody_out() {
    let authority = Authority::new();
    let header_time = Some(Duration::from_secs(2));
    let fixture = start(Config { read_header_timeout: header_time, ..config(tls(&authority)) });
    let mut held = Vec::new();
    for number in 0..64 {
        let mut socket = TcpStream::connect(fixture.address()).await.unwrap();
        match number % 4 {
            // Says nothing; begins a record and never ends it; sends no TLS; leaves.
            0 => {}
            1 => socket.write_all(&[22, 3, 1, 64, 0, 1]).await.unwrap(),
            2 => socket.write_all(&[0x80; 64]).await.unwrap(),
            _ => {
                socket.write_all(&[22, 3, 1, 0, 16, 1]).await.unwrap();
                continue;
            }
        }
        held.push(socket);
    }
    for _ in 0..8 {
        assert_eq!(fixture.ask(plain_client(&authority)).await, Ok(200));
    }
    for (reason, times) in [("handshake_timeout", 32.0), ("not_tls", 16.0), ("handshake_aborted", 16.0)] {
        fixture.until_failed(reason, times).await;
        println!("{reason:<18} {times}");
    }
    drop(held);
}

#[tokio::test(start_paused = true)]
async fn a_pair_that_is_written_half_changes_nothing_until_it_is_whole() {
    let authority = Authority::new();
    // Paused time moves on while a socket is waited for.
    let fixture = start(Config { read_header_timeout: None, ..config(tls(&authority)) });
    let (certificate, key) = authority.issue(&["renewed.test"]);
    let renewed = async || connect(fixture.address(), plain_client(&authority), "renewed.test").await.is_ok();
    assert!(!renewed().await);
    std::fs::write(authority.file("server.pem"), &certificate).unwrap();
    // Several times as long as it takes to notice.
    time_passes(Duration::from_secs(10)).await;
    assert!(!renewed().await);
    assert_eq!(fixture.ask(plain_client(&authority)).await, Ok(200), "the old pair is in use");

    std::fs::write(authority.file("server.key"), &key).unwrap();
    eventually("the new pair is used", PATIENCE, renewed).await;
}

#[test]
fn the_protocol_versions_are_those_of_the_contract() {
    assert_eq!(u16::from(ProtocolVersion::TLSv1_2), 771);
    assert_eq!(u16::from(ProtocolVersion::TLSv1_3), 772);
}
