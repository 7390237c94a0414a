//! Whole handshakes in memory, at times that the test chooses.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::crypto::aws_lc_rs::{Ticketer, default_provider};
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::version::{TLS12, TLS13};
use rustls::{
    CertificateError, ClientConfig, ClientConnection, HandshakeKind, RootCertStore, ServerConfig,
    ServerConnection, SupportedProtocolVersion,
};

use super::*;

const HOUR: u64 = 60 * 60;
/// 2030-01-01T00:00:00Z.
const YEAR_2030: u64 = 1_893_456_000;

/// The time that the server believes it is.
#[derive(Debug, Default)]
struct Clock(AtomicU64);

struct Fixture {
    clock: Arc<Clock>,
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
}

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_secs(self.0.load(Ordering::Relaxed))))
    }
}

impl Fixture {
    /// The client's certificate ends with the year before this one.
    fn new(version: &'static SupportedProtocolVersion, ends: i32) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let issue = |ends| {
            let mut params = CertificateParams::new(vec!["h.example".to_owned()]).unwrap();
            params.not_after = date_time_ymd(ends, 1, 1);
            let key = KeyPair::generate().unwrap();
            let certificate = params.signed_by(&key, &authority).unwrap().der().clone();
            (vec![certificate], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
        };
        let mut roots = RootCertStore::empty();
        roots.add(authority.der().clone()).unwrap();
        let (roots, provider) = (Arc::new(roots), Arc::new(default_provider()));
        let clock = Arc::new(Clock::default());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(&provider));
        let (chain, key) = issue(2100);
        let mut server = ServerConfig::builder_with_details(Arc::clone(&provider), Arc::clone(&clock) as _)
            .with_protocol_versions(&[version])
            .unwrap()
            .with_client_cert_verifier(Arc::new(ProvingClients(verifier.build().unwrap())))
            .with_single_cert(chain, key)
            .unwrap();
        server.session_storage = Arc::new(NoServerSessionStorage {});
        server.ticketer =
            Arc::new(EndingTickets { keys: Ticketer::new().unwrap(), clock: Arc::clone(&clock) as _ });
        let (chain, key) = issue(ends);
        let client = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, key)
            .unwrap();
        Self { clock, server: Arc::new(server), client: Arc::new(client) }
    }

    /// The kind of a handshake at this time, and the client's certificate as the server knows it.
    fn connect_at(&self, seconds: u64) -> Result<(HandshakeKind, Vec<u8>), Error> {
        self.clock.0.store(seconds, Ordering::Relaxed);
        let name = ServerName::try_from("h.example").unwrap();
        let mut client = ClientConnection::new(Arc::clone(&self.client), name).unwrap();
        let mut server = ServerConnection::new(Arc::clone(&self.server)).unwrap();
        let mut proof = Proof::default();
        // The last turn is for tickets.
        let mut turns_left = 1;
        while turns_left > 0 {
            turns_left -= u32::from(!client.is_handshaking() && !server.is_handshaking());
            let bytes = written(|bytes| client.write_tls(bytes));
            server.read_tls(&mut &bytes[..]).unwrap();
            proof.during(|| server.process_new_packets())?;
            let bytes = written(|bytes| server.write_tls(bytes));
            client.read_tls(&mut &bytes[..]).unwrap();
            client.process_new_packets()?;
        }
        let certificate = server.peer_certificates().unwrap()[0].to_vec();
        Ok((server.handshake_kind().unwrap(), certificate))
    }
}

fn written(mut write: impl FnMut(&mut Vec<u8>) -> io::Result<usize>) -> Vec<u8> {
    let mut bytes = Vec::new();
    while write(&mut bytes).unwrap() > 0 {}
    bytes
}

#[test]
fn a_session_is_resumed_until_the_clients_certificate_ends() {
    for version in [&TLS12, &TLS13] {
        let fixture = Fixture::new(version, 2030);
        let (kind, presented) = fixture.connect_at(YEAR_2030 - 3).unwrap();
        assert_eq!(kind, HandshakeKind::Full, "{version:?}");
        for seconds_left in [2, 1] {
            let (kind, known) = fixture.connect_at(YEAR_2030 - seconds_left).unwrap();
            assert_eq!((kind, &known), (HandshakeKind::Resumed, &presented), "{version:?}");
        }
        let refused = fixture.connect_at(YEAR_2030 + 1).unwrap_err();
        let is_expired = matches!(
            refused,
            Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. })
        );
        assert!(is_expired, "{version:?}: {refused}");
    }
}

#[test]
fn a_client_proves_once_a_day_that_it_has_the_key_however_often_it_resumes() {
    for version in [&TLS12, &TLS13] {
        let fixture = Fixture::new(version, 2090);
        let kinds = [0, 20, 23, 25, 48].map(|hours| fixture.connect_at(YEAR_2030 + hours * HOUR).unwrap().0);
        let (full, resumed) = (HandshakeKind::Full, HandshakeKind::Resumed);
        assert_eq!(kinds, [full, resumed, resumed, full, resumed], "{version:?}");
    }
}

#[test]
fn there_is_no_ticket_without_a_proof_and_none_that_was_changed_is_accepted() {
    let clock = Arc::new(Clock::default());
    let tickets = EndingTickets { keys: Ticketer::new().unwrap(), clock };
    assert_eq!(tickets.encrypt(b"a session"), None);
    let mut proof = Proof { until: Some(HOUR) };
    let ticket = proof.during(|| tickets.encrypt(b"a session")).unwrap();
    let mut other = Proof::default();
    assert_eq!(other.during(|| tickets.decrypt(&ticket)).as_deref(), Some(&b"a session"[..]));
    assert_eq!(other.until, Some(HOUR));
    for at in 0..ticket.len() {
        let mut changed = ticket.clone();
        changed[at] ^= 1;
        assert_eq!(tickets.decrypt(&changed), None, "byte {at}");
    }
}
