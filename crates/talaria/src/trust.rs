//! Which certificates of event receivers and of clients are accepted (contract §9.8, §14.29).
//!
//! Webpki, rustls' verifier, accepts a certificate that an authority signed. It rejects the certificate of an authority
//! when a peer presents it as its own, which is what a self-signed certificate is in most cases. Here such a certificate is
//! accepted if it is byte for byte one of the trusted ones, as Go does; its time, its purpose and its name are checked all
//! the same.
//!
//! Deliberately absent: which files the trusted certificates come from, and brokers, whose certificates OpenSSL checks by the
//! same rule.

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ParsedCertificate, VerifierBuilderError};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, RootCertStore,
    SignatureScheme,
};
use talaria_protocol::x509::{self, Purpose, Validity};

/// A certificate of a version before 3, which cannot say what it may be used for.
#[derive(Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the certificate is X.509 v{0}, which is not accepted: issue it again as v3")]
pub(crate) struct OldVersionError(u32);

/// Certificates that are trusted by themselves.
#[derive(Debug)]
struct Trusted(Vec<CertificateDer<'static>>);

#[derive(Debug)]
struct ServerTrust {
    trusted: Trusted,
    webpki: Arc<WebPkiServerVerifier>,
}

#[derive(Debug)]
struct ClientTrust {
    trusted: Trusted,
    webpki: Arc<dyn ClientCertVerifier>,
}

/// The certificates in a file's content; at least one. `None` if it is not PEM or has none.
pub(crate) fn certificates_in(content: &[u8]) -> Option<Vec<CertificateDer<'static>>> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(content).collect();
    certificates.ok().filter(|certificates| !certificates.is_empty())
}

/// Accepts servers that present one of these certificates or one that these signed. Those that cannot be read are left
/// out.
///
/// # Errors
/// If none of them can be read.
pub(crate) fn server_verifier(
    trusted: Vec<CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, VerifierBuilderError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(trusted.iter().cloned());
    let webpki = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build()?;
    Ok(Arc::new(ServerTrust { trusted: Trusted(trusted), webpki }))
}

/// Accepts clients that `webpki` accepts, and those that present one of these certificates.
pub(crate) fn client_verifier(
    trusted: Vec<CertificateDer<'static>>,
    webpki: Arc<dyn ClientCertVerifier>,
) -> Arc<dyn ClientCertVerifier> {
    Arc::new(ClientTrust { trusted: Trusted(trusted), webpki })
}

/// The message, because rustls shows errors of this kind by their `Debug`.
impl fmt::Debug for OldVersionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Trusted {
    /// Checks a certificate that webpki rejected for this reason.
    fn check(
        &self,
        presented: &CertificateDer<'_>,
        purpose: Purpose,
        now: UnixTime,
        rejected: Error,
    ) -> Result<(), Error> {
        let Ok(certificate) = x509::Certificate::read(presented) else { return Err(rejected) };
        if certificate.version < 3 {
            return Err(other(OldVersionError(certificate.version)));
        }
        let is_revoked = matches!(rejected, Error::InvalidCertificate(CertificateError::Revoked));
        if is_revoked || !self.0.contains(presented) {
            return Err(rejected);
        }
        match certificate.validity_at(i64::try_from(now.as_secs()).unwrap_or(i64::MAX)) {
            Validity::NotYet => Err(CertificateError::NotValidYet.into()),
            Validity::Expired => Err(CertificateError::Expired.into()),
            Validity::Valid if !certificate.is_for(purpose) => Err(CertificateError::InvalidPurpose.into()),
            Validity::Valid => Ok(()),
        }
    }
}

impl ServerCertVerifier for ServerTrust {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified =
            self.webpki.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        verified.or_else(|rejected| {
            self.trusted.check(end_entity, Purpose::Server, now, rejected)?;
            verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
            Ok(ServerCertVerified::assertion())
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.webpki.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.webpki.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.webpki.supported_verify_schemes()
    }
}

impl ClientCertVerifier for ClientTrust {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.webpki.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.webpki.verify_client_cert(end_entity, intermediates, now).or_else(|rejected| {
            self.trusted.check(end_entity, Purpose::Client, now, rejected)?;
            Ok(ClientCertVerified::assertion())
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.webpki.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.webpki.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.webpki.supported_verify_schemes()
    }

    fn offer_client_auth(&self) -> bool {
        self.webpki.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.webpki.client_auth_mandatory()
    }
}

fn other(error: OldVersionError) -> Error {
    CertificateError::Other(OtherError(Arc::new(error))).into()
}

#[cfg(test)]
mod tests;
