//! Which peers of a server are proxies, and what they say about the client of a connection.
//!
//! Only what a trusted proxy says is used: anyone could write it. What the bytes mean is in [`proxy_protocol`].

use std::io;
use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;
use talaria_protocol::forwarded::ForwardedHeader;
use talaria_protocol::network::Network;
use talaria_protocol::proxy_protocol::{self, Progress, ProxyProtocolError};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

use super::ConnectionFailure;

/// The proxies in front of a server. By default there are none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxies {
    /// Whether they begin each connection with a header of the PROXY protocol (`proxyProtocol`).
    pub proxy_protocol: bool,
    /// Their addresses (`trustedProxies`). If there are none, every peer has to send the header.
    pub trusted: Vec<Network>,
    /// The header in which trusted proxies name the client of a request (`forwardedHeader`).
    pub forwarded: Option<ForwardedHeader>,
}

/// Why a connection of a proxy has no header.
#[derive(Debug, thiserror::Error)]
pub(super) enum ProxyHeaderError {
    #[error(transparent)]
    Malformed(#[from] ProxyProtocolError),
    #[error("the connection ended within the PROXY protocol header")]
    Truncated,
    #[error("the connection ended before a PROXY protocol header")]
    Closed,
    #[error("the PROXY protocol header did not arrive within readHeaderTimeout")]
    TimedOut,
}

impl Proxies {
    /// Whether a connection of this peer has to begin with a header.
    pub(super) fn require_header_of(&self, peer: IpAddr) -> bool {
        self.proxy_protocol && (self.trusted.is_empty() || self.trust(peer))
    }

    /// The client of a request from this peer: another one if the peer is a trusted proxy that names it. Its port is not
    /// known then.
    pub(super) fn client_of(&self, peer: SocketAddr, headers: &HeaderMap) -> SocketAddr {
        let header = self.forwarded.filter(|_| self.trust(peer.ip()));
        let client = header.and_then(|header| header.client(headers, |address| self.trust(address)));
        client.map_or(peer, |client| SocketAddr::new(client, 0))
    }

    fn trust(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(address))
    }
}

impl ProxyHeaderError {
    pub(super) fn failure(&self) -> ConnectionFailure {
        match self {
            Self::Malformed(_) | Self::Truncated => ConnectionFailure::BadProxyHeader,
            Self::Closed => ConnectionFailure::NoProxyHeader,
            Self::TimedOut => ConnectionFailure::SlowProxyHeader,
        }
    }

    /// The end of a connection after so many bytes.
    fn ended_after(bytes: usize) -> Self {
        if bytes == 0 { Self::Closed } else { Self::Truncated }
    }
}

/// Reads the header at the beginning of a connection and nothing behind it. Returns the client's address if the header
/// names one.
pub(super) async fn read_header(socket: &mut TcpStream) -> Result<Option<SocketAddr>, ProxyHeaderError> {
    let mut header = Vec::new();
    let mut piece = [0; 512];
    loop {
        let before = header.len();
        let ended = |_: io::Error| ProxyHeaderError::ended_after(before);
        // What the client sends behind the header has to stay in the socket, for TLS or HTTP.
        let arrived = socket.peek(&mut piece).await.map_err(ended)?;
        if arrived == 0 {
            return Err(ProxyHeaderError::ended_after(before));
        }
        header.extend_from_slice(&piece[..arrived]);
        let progress = proxy_protocol::parse(&header)?;
        let taken = match progress {
            Progress::Incomplete => arrived,
            Progress::Complete(header) => header.length.saturating_sub(before).min(arrived),
        };
        socket.read_exact(&mut piece[..taken]).await.map_err(ended)?;
        if let Progress::Complete(header) = progress {
            return Ok(header.client);
        }
    }
}
