//! Certificates that are trusted themselves, with each thing that may be wrong with them.

use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, KeyPair, date_time_ymd};
use rustls::pki_types::pem::PemObject as _;
use rustls::server::WebPkiClientVerifier;

use super::*;

/// Made by `openssl x509 -req` without extensions: X.509 v1, for `CN = old.example`, valid for a hundred years.
const VERSION_1: &str = include_str!("tests/version_1.pem");

/// A self-signed certificate for `h.example` from 2020 to 2040, changed by `change`.
fn self_signed(change: impl FnOnce(&mut CertificateParams)) -> CertificateDer<'static> {
    let mut params = CertificateParams::new(vec!["h.example".to_owned()]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2040, 1, 1);
    change(&mut params);
    params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().clone()
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// Whether a receiver is accepted, and if not, why.
fn server(
    trusted: &CertificateDer<'static>,
    presented: &CertificateDer<'_>,
    name: &str,
    year: u64,
) -> Result<(), Error> {
    let verifier = server_verifier(vec![trusted.clone()], provider()).unwrap();
    let name = ServerName::try_from(name).unwrap();
    verifier.verify_server_cert(presented, &[], &name, &[], at(year)).map(|_| ())
}

fn client(trusted: &CertificateDer<'static>, presented: &CertificateDer<'_>, year: u64) -> Result<(), Error> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let webpki = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider()).build().unwrap();
    client_verifier(vec![trusted.clone()], webpki).verify_client_cert(presented, &[], at(year)).map(|_| ())
}

/// About the middle of a year.
fn at(year: u64) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs((year - 1970) * 31_557_600 + 15_000_000))
}

#[test]
fn a_self_signed_certificate_is_accepted_if_it_is_trusted_itself() {
    for is_ca in [IsCa::Ca(BasicConstraints::Unconstrained), IsCa::ExplicitNoCa, IsCa::NoCa] {
        let certificate = self_signed(|params| params.is_ca = is_ca);
        assert_eq!(server(&certificate, &certificate, "h.example", 2030), Ok(()), "{is_ca:?}");
        assert_eq!(client(&certificate, &certificate, 2030), Ok(()), "{is_ca:?}");
        let other = self_signed(|params| params.is_ca = is_ca);
        assert!(server(&other, &certificate, "h.example", 2030).is_err());
        assert!(client(&other, &certificate, 2030).is_err());
    }
}

#[test]
fn its_time_its_name_and_its_purpose_are_checked() {
    let certificate = self_signed(|_| {});
    for year in [2019, 2040] {
        assert!(server(&certificate, &certificate, "h.example", year).is_err(), "{year}");
        assert!(client(&certificate, &certificate, year).is_err(), "{year}");
    }
    let refused = server(&certificate, &certificate, "other.example", 2030).unwrap_err();
    assert!(refused.to_string().contains("not valid for name"), "{refused}");

    let for_clients =
        self_signed(|params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]);
    assert_eq!(client(&for_clients, &for_clients, 2030), Ok(()));
    assert!(server(&for_clients, &for_clients, "h.example", 2030).is_err());
}

#[test]
fn a_certificate_of_version_1_is_refused_and_named() {
    let old = CertificateDer::from_pem_slice(VERSION_1.as_bytes()).unwrap();
    for refused in [server(&old, &old, "old.example", 2030), client(&old, &old, 2030)] {
        let refused = refused.unwrap_err().to_string();
        assert!(refused.contains("X.509 v1"), "{refused}");
    }
}
