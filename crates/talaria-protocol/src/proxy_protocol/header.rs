//! A header that has been read, and why bytes are not one.

use std::net::SocketAddr;

/// The longest header that is accepted. Version 1 ends within 107 bytes; version 2 could announce 64 KiB, most of it certificates of the client, which are not used.
pub const MAX_LENGTH: usize = 4096;

/// What the bytes that have arrived so far are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The beginning of a header.
    Incomplete,
    /// A header, perhaps with bytes of the client behind it.
    Complete(Header),
}

/// A header that has arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Its length: the client's first byte is behind it.
    pub length: usize,
    /// The client's address. None if the header does not name one (`UNKNOWN`, `LOCAL`, a Unix socket): the connection is
    /// the proxy's own, such as a health check.
    pub client: Option<SocketAddr>,
}

/// Why the bytes are not a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProxyProtocolError {
    /// They begin otherwise.
    #[error("the connection does not begin with a PROXY protocol header")]
    Missing,
    /// The line of version 1 does not end in time.
    #[error("the PROXY line is longer than 107 bytes")]
    LineTooLong,
    /// A field of version 1 is missing, malformed or too many.
    #[error("the PROXY line is malformed")]
    Line,
    /// The version or command of the binary header is not known.
    #[error("the PROXY header has an unknown version or command")]
    Command,
    /// The address family or transport of the binary header is not known.
    #[error("the PROXY header has an unknown address family or transport")]
    Family,
    /// The binary header is too short for its addresses.
    #[error("the PROXY header is too short for its addresses")]
    TooShort,
    /// The binary header is longer than [`MAX_LENGTH`].
    #[error("the PROXY header is longer than 4096 bytes")]
    TooLong,
    /// A field behind the addresses exceeds the header.
    #[error("a field of the PROXY header exceeds the header")]
    Field,
    /// The checksum is wrong.
    #[error("the checksum of the PROXY header is wrong")]
    Checksum,
}
