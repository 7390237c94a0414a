//! The gateway's metrics page, over a connection that is kept, as Prometheus keeps it.

use std::io;
use std::net::SocketAddr;

use bytes::Bytes;
use http::Request;
use http::header::{ACCEPT_ENCODING, HOST};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// The longest page that is read, in bytes.
const LONGEST: usize = 16 * 1024 * 1024;

/// A connection to the gateway's metrics server.
#[derive(Debug)]
pub(crate) struct MetricsPage {
    address: SocketAddr,
    sender: SendRequest<Empty<Bytes>>,
}

/// Whether the page is asked for in compressed form, as Prometheus does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compression {
    None,
    Gzip,
}

impl MetricsPage {
    pub(crate) async fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
        // The task ends when the sender is dropped.
        tokio::spawn(connection);
        Ok(Self { address, sender })
    }

    /// Reads the page, in the form in which it comes.
    pub(crate) async fn fetch(&mut self, compression: Compression) -> io::Result<Bytes> {
        self.sender.ready().await.map_err(io::Error::other)?;
        let mut request = Request::get("/metrics").header(HOST, self.address.to_string());
        if compression == Compression::Gzip {
            request = request.header(ACCEPT_ENCODING, "gzip");
        }
        let request = request.body(Empty::new()).map_err(io::Error::other)?;
        let response = self.sender.send_request(request).await.map_err(io::Error::other)?;
        if !response.status().is_success() {
            return Err(io::Error::other(format!("status {}", response.status())));
        }
        let body = Limited::new(response.into_body(), LONGEST).collect().await.map_err(io::Error::other)?;
        Ok(body.to_bytes())
    }
}
