//! Why a broker's certificate is not accepted: librdkafka reports only that it is not.
//!
//! A second handshake, made with rustls and the same authorities, distinguishes a certificate for another host name, or
//! one outside its validity, from one that no trusted authority has signed. It presents no client certificate and sends
//! nothing else.

use std::net::{TcpStream, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{CertificateError, ClientConfig, ClientConnection, Error, RootCertStore};

use crate::connection_failure::ConnectionFailure;

/// The limit for the connection, and for each read and write of the handshake.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Makes a handshake with the broker at `host:port`, trusting the authorities of this file (PEM), or the system's if the
/// name is empty. None if nothing was found, which includes every failure of the network. Blocks: it needs a thread of
/// its own.
pub(super) fn why_untrusted(address: &str, ca_file: &str) -> Option<ConnectionFailure> {
    let error = handshake(address, ca_file)?;
    let Error::InvalidCertificate(error) = error else { return None };
    match error {
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            Some(ConnectionFailure::HostName)
        }
        CertificateError::Expired
        | CertificateError::ExpiredContext { .. }
        | CertificateError::NotValidYet
        | CertificateError::NotValidYetContext { .. } => Some(ConnectionFailure::CertificateTime),
        _ => None,
    }
}

fn handshake(address: &str, ca_file: &str) -> Option<Error> {
    let mut roots = RootCertStore::empty();
    if ca_file.is_empty() {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    } else {
        roots.add_parsable_certificates(CertificateDer::pem_file_iter(ca_file).ok()?.flatten());
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .ok()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let (host, _) = address.rsplit_once(':')?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let name = ServerName::try_from(host.to_owned()).ok()?;
    let mut connection = ClientConnection::new(Arc::new(config), name).ok()?;
    let mut socket = TcpStream::connect_timeout(&address.to_socket_addrs().ok()?.next()?, TIMEOUT).ok()?;
    socket.set_read_timeout(Some(TIMEOUT)).ok()?;
    socket.set_write_timeout(Some(TIMEOUT)).ok()?;
    while connection.is_handshaking() {
        if let Err(error) = connection.complete_io(&mut socket) {
            return error.into_inner()?.downcast::<Error>().ok().map(|error| *error);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use rustls::pki_types::PrivateKeyDer;
    use rustls::{ServerConfig, ServerConnection};

    use super::*;
    use crate::test_folder::TestFolder;

    /// Serves one handshake with a certificate for this name, and returns what the probe finds.
    fn probed(name: &str, until: i32, is_trusted: bool) -> Option<ConnectionFailure> {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_after = rcgen::date_time_ymd(until, 1, 1);
        let certificate = params.self_signed(&key).unwrap();
        let other = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
        let folder = TestFolder::new();
        folder.write("ca.pem", &if is_trusted { certificate.pem() } else { other.cert.pem() });

        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            )
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = std::thread::spawn(move || {
            let mut connection = ServerConnection::new(Arc::new(config)).unwrap();
            let (mut socket, _) = listener.accept().unwrap();
            while connection.is_handshaking() && connection.complete_io(&mut socket).is_ok() {}
        });
        let found = why_untrusted(&format!("127.0.0.1:{port}"), &folder.path("ca.pem"));
        server.join().unwrap();
        found
    }

    #[test]
    fn another_host_name_and_an_expired_certificate_differ_from_another_authority() {
        assert_eq!(probed("127.0.0.1", 2100, true), None);
        assert_eq!(probed("127.0.0.1", 2100, false), None);
        assert_eq!(probed("kafka.example.com", 2100, true), Some(ConnectionFailure::HostName));
        assert_eq!(probed("127.0.0.1", 2001, true), Some(ConnectionFailure::CertificateTime));
    }

    #[test]
    fn an_unreachable_broker_is_no_finding() {
        assert_eq!(why_untrusted("127.0.0.1:1", "/nonexistent"), None);
        assert_eq!(why_untrusted("nonsense", ""), None);
    }
}
