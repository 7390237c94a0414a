//! Certificates for a gateway of our own: an authority that lasts as long as the run, and a server's certificate of it.

use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

/// The files, PEM.
#[derive(Debug, Clone)]
pub(crate) struct Certificates {
    /// The authority's certificate.
    pub(crate) authority: PathBuf,
    /// The server's certificate.
    pub(crate) certificate: PathBuf,
    /// The server's private key.
    pub(crate) key: PathBuf,
}

impl Certificates {
    /// Makes them in `folder`, for a server at `address`.
    pub(crate) fn create(folder: &Path, address: IpAddr) -> io::Result<Self> {
        let files = Self {
            authority: folder.join("ca.pem"),
            certificate: folder.join("server.pem"),
            key: folder.join("server.key"),
        };
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let mut params = CertificateParams::new([]).map_err(io::Error::other)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = params.self_signed(&key).map_err(io::Error::other)?;
        fs::write(&files.authority, authority.pem())?;

        let issuer = Issuer::new(params, key);
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let params = CertificateParams::new([address.to_string()]).map_err(io::Error::other)?;
        let certificate = params.signed_by(&key, &issuer).map_err(io::Error::other)?;
        fs::write(&files.certificate, certificate.pem())?;
        fs::write(&files.key, key.serialize_pem())?;
        Ok(files)
    }
}
