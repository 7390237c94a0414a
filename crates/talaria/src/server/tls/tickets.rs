//! Tickets by which clients with a certificate resume a session (RFC 8446 §4.6.1, RFC 5077).
//!
//! A resumed handshake checks no certificate. So a ticket carries, sealed, the time until which the client's certificates have
//! been checked: the end of the first of them, and at most a day after the client has proved that it has the key. A ticket
//! that a resumed session gets has the time of the ticket that it came with. After this time a ticket is worth nothing, and
//! the handshake is a full one. The keys of tickets belong to one configuration: once authorities, revocation lists or
//! certificates have changed, no older ticket can be read.
//!
//! Deliberately absent: where tickets are kept, which is at the client, and tickets of clients without certificates, which
//! are rustls' own. Start reading at [`Proof`].

use std::cell::Cell;
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::ProducesTickets;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::time_provider::TimeProvider;
use rustls::{DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use talaria_protocol::x509::Certificate;

/// How long a client need not prove again that it has the key of its certificate, in seconds.
const LONGEST: u64 = 24 * 60 * 60;

/// The time at the beginning of a ticket's content.
const TIME_LENGTH: usize = size_of::<u64>();

thread_local! {
    /// The proof of the session whose handshake goes on in this thread. rustls does not say for which session it verifies a
    /// certificate or needs a ticket.
    static CURRENT: Cell<Proof> = const { Cell::new(Proof { until: None }) };
}

/// Until when the certificates of a session's client have been checked, in seconds since 1970.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Proof {
    /// `None` if none was presented, or if the end of one cannot be read. There is no ticket then.
    until: Option<u64>,
}

/// Lets clients in that the other verifier lets in, and notes until when that holds.
#[derive(Debug)]
pub(super) struct ProvingClients(pub(super) Arc<dyn ClientCertVerifier>);

/// Tickets that end when the client's certificates have to be checked again.
#[derive(Debug)]
pub(super) struct EndingTickets {
    pub(super) keys: Arc<dyn ProducesTickets>,
    pub(super) clock: Arc<dyn TimeProvider>,
}

impl Proof {
    /// Does a part of the handshake of this session.
    pub(super) fn during<T>(&mut self, handshake: impl FnOnce() -> T) -> T {
        CURRENT.set(*self);
        let result = handshake();
        *self = CURRENT.take();
        result
    }

    /// The proof of a client that has presented these certificates.
    fn of(certificates: &[&CertificateDer<'_>], now: UnixTime) -> Self {
        let end = |der: &&CertificateDer<'_>| u64::try_from(Certificate::read(der).ok()?.not_after()).ok();
        let ends = certificates.iter().map(end).collect::<Option<Vec<_>>>();
        let until = ends.and_then(|ends| ends.into_iter().min());
        Self { until: until.map(|until| until.min(now.as_secs().saturating_add(LONGEST))) }
    }
}

impl EndingTickets {
    fn is_over(&self, until: u64) -> bool {
        self.clock.current_time().is_none_or(|now| now.as_secs() > until)
    }
}

impl ProducesTickets for EndingTickets {
    fn enabled(&self) -> bool {
        self.keys.enabled()
    }

    fn lifetime(&self) -> u32 {
        self.keys.lifetime()
    }

    fn encrypt(&self, session: &[u8]) -> Option<Vec<u8>> {
        let until = CURRENT.get().until.filter(|until| !self.is_over(*until))?;
        self.keys.encrypt(&[&until.to_be_bytes(), session].concat())
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        let mut session = self.keys.decrypt(ticket)?;
        let until = u64::from_be_bytes(*session.first_chunk::<TIME_LENGTH>()?);
        if self.is_over(until) {
            return None;
        }
        CURRENT.set(Proof { until: Some(until) });
        session.drain(..TIME_LENGTH);
        Some(session)
    }
}

impl ClientCertVerifier for ProvingClients {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.0.verify_client_cert(end_entity, intermediates, now)?;
        let presented: Vec<_> = std::iter::once(end_entity).chain(intermediates).collect();
        CURRENT.set(Proof::of(&presented, now));
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }

    fn offer_client_auth(&self) -> bool {
        self.0.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.0.client_auth_mandatory()
    }
}

#[cfg(test)]
mod tests;
