//! TLS of the whole gateway, as its own process: what openssl finds, and events over https (contract §5.4, §9.8).

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsAcceptor;

use crate::support::certificates::Authority;
use crate::support::device::Device;
use crate::support::eventually;
use crate::support::process::GatewayProcess;

/// Reached only by a test that fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// An address that was free a moment ago.
fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

#[tokio::test]
async fn openssl_finds_nothing_but_sound_tls_on_the_alternate_server_and_on_one_with_mutual_tls() {
    if Command::new("openssl").arg("version").output().is_err() {
        println!("skipped: there is no openssl on this machine");
        return;
    }
    let authority = Authority::new();
    let pair = authority.pair("server", &["localhost", "127.0.0.1"]);
    let client = authority.pair("client", &["operator"]);
    let (alternate, control) = (free_address(), free_address());
    let files =
        format!("certificateFile: [{}], keyFile: [{}]", pair.certificate.display(), pair.key.display());
    let sections = format!(
        "alternate: {{address: \"{alternate}\", {files}}}\n\
         control: {{address: \"{control}\", {files}, clientCACertFile: {}}}\n",
        authority.ca().display()
    );
    let gateway = GatewayProcess::start(&sections).await;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/check-tls");
    let check = |address: SocketAddr, client: Option<&talaria::server::tls::Pair>| {
        let mut command = Command::new(&script);
        command.arg(format!("localhost:{}", address.port())).arg("--ca").arg(authority.ca());
        if let Some(client) = client {
            command.arg("--cert").arg(&client.certificate).arg("--key").arg(&client.key);
        }
        let output = command.output().unwrap();
        println!("{}", String::from_utf8_lossy(&output.stdout));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    check(alternate, None);
    check(control, Some(&client));
    let failures = gateway.metric("talaria_talaria_connection_failures_total", &["no_certificate"]).await;
    assert!((2.0..=2.0).contains(&failures), "{failures}");
    assert!(gateway.terminate().await.success());
}

/// contract §10.10
#[tokio::test]
async fn the_metrics_have_the_end_of_the_certificates_in_use() {
    const YEAR_2040: f64 = 2_208_988_800.0;
    const YEAR_2050: f64 = 2_524_608_000.0;
    let authority = Authority::new();
    let pair = authority.pair("server", &["localhost"]);
    let issue = |year| {
        let (certificate, key) = authority.issue_until(year, &["localhost"]);
        std::fs::write(&pair.certificate, certificate).unwrap();
        std::fs::write(&pair.key, key).unwrap();
    };
    issue(2040);
    let files =
        format!("certificateFile: [{}], keyFile: [{}]", pair.certificate.display(), pair.key.display());
    let alternate = free_address();
    let gateway = GatewayProcess::start(&format!("alternate: {{address: \"{alternate}\", {files}}}\n")).await;
    let end =
        async || gateway.metric("talaria_talaria_tls_certificate_not_after_seconds", &["alternate"]).await;
    eventually("the end is known", PATIENCE, async || end().await > 0.0).await;
    assert_eq!(end().await, YEAR_2040);
    issue(2050);
    eventually("the new certificate is in use", PATIENCE, async || end().await != YEAR_2040).await;
    assert_eq!(end().await, YEAR_2050);
    let plain = gateway.metric("talaria_talaria_tls_certificate_not_after_seconds", &["primary"]).await;
    assert_eq!(plain, 0.0, "a server without certificates has no series");
}

#[tokio::test]
async fn an_event_is_posted_over_https_to_a_receiver_whose_authority_the_system_knows() {
    let authority = Authority::new();
    post_an_event_to(&authority.issue(&["localhost"]), &authority.ca()).await;
}

/// contract §14.29
#[tokio::test]
async fn an_event_is_posted_over_https_to_a_receiver_whose_self_signed_certificate_the_system_knows() {
    let authority = Authority::for_names(&["localhost"]);
    post_an_event_to(&authority.own(), &authority.ca()).await;
}

/// Connects a device to a gateway whose system trusts the certificate in a file, and receives the event with a
/// certificate and its key.
async fn post_an_event_to((certificate, key): &(String, String), trusted: &Path) {
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()],
            PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
        )
        .unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let receiving = tokio::spawn(async move {
        let (tcp, _) = listener.accept().await.unwrap();
        let mut socket = TlsAcceptor::from(Arc::new(config)).accept(tcp).await.unwrap();
        let mut received = Vec::new();
        // The online event is short and comes at once; its length is not what is tested here.
        while !received.windows(7).any(|bytes| bytes == b"/online") {
            assert!(socket.read_buf(&mut received).await.unwrap() > 0);
        }
        socket.write_all(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n").await.unwrap();
        socket.flush().await.unwrap();
        (received, socket)
    });
    // `SSL_CERT_FILE` stands for the system's store, where a private authority belongs.
    let sections = format!(
        "device: {{outbound: {{eventEndpoints: {{default: \"https://localhost:{port}/events\"}}}}}}\n"
    );
    let gateway = GatewayProcess::start_in(&sections, &[("SSL_CERT_FILE", trusted)]).await;
    let device = Device::connect(gateway.primary(), "mac:112233445566").await;
    let (received, _socket) =
        tokio::time::timeout(Duration::from_secs(20), receiving).await.unwrap().unwrap();
    let head = String::from_utf8_lossy(&received);
    assert!(head.starts_with("POST /events HTTP/1.1\r\n"), "{head}");
    assert!(head.to_ascii_lowercase().contains("content-type: application/msgpack\r\n"), "{head}");
    eventually("the event counts as accepted", Duration::from_secs(20), async || {
        gateway.metric("outbound_requests", &["code=\"202\""]).await == 1.0
    })
    .await;
    drop(device);
}
