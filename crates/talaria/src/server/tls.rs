//! TLS of the servers: certificates, versions and client authorities, read from files and reloaded when the files change.
//!
//! `Tls` belongs to one server. A connection uses the configuration that is current when it begins, and keeps it.
//! The sessions are in `socket.rs`; they have no buffers of their own, because hundreds of thousands of them are idle.
//!
//! Deliberately absent: anything that extracts a secret from rustls or writes a TLS record itself. Start reading at
//! `config.rs` for a setting, at `socket.rs` for a connection.

mod certificates;
mod config;
mod files;
mod handshake;
mod pending;
mod reload;
mod socket;
mod tickets;
mod version;

pub use config::Config;
pub use files::{FileError, Key, Pair, TlsError};
pub(super) use handshake::{HandshakeError, accept};
pub(super) use reload::{Tls, reload};
pub(super) use socket::{Resumption, TlsSocket};
pub use version::{Version, VersionError, Versions};
