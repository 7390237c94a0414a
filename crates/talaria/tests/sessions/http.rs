//! Requests to the gateway, each over a connection of its own.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// `user:pass`, which the gateway's configuration has too.
pub(crate) const KEY: &str = "dXNlcjpwYXNz";

/// What a response was, and when it came.
pub(crate) struct Response {
    pub(crate) status: u16,
    /// Its length with its head.
    pub(crate) bytes: usize,
    pub(crate) first_byte: Duration,
    pub(crate) took: Duration,
}

/// Reads to the end; `visit` gets the bytes as they come.
pub(crate) fn get(address: SocketAddr, path: &str, visit: impl FnMut(&[u8])) -> Response {
    exchange(
        address,
        &format!("GET {path} HTTP/1.1\r\nHost: t\r\nAuthorization: Basic {KEY}\r\nConnection: close\r\n\r\n"),
        b"",
        visit,
    )
}

/// Returns the status.
pub(crate) fn post(address: SocketAddr, path: &str, body: &[u8]) -> u16 {
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: t\r\nAuthorization: Basic {KEY}\r\nContent-Type: application/msgpack\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n",
        body.len()
    );
    exchange(address, &head, body, |_| {}).status
}

fn exchange(address: SocketAddr, head: &str, body: &[u8], mut visit: impl FnMut(&[u8])) -> Response {
    let start = Instant::now();
    let mut socket = TcpStream::connect(address).expect("the gateway listens");
    socket.write_all(&[head.as_bytes(), body].concat()).expect("the gateway reads");
    let mut response = Response { status: 0, bytes: 0, first_byte: Duration::ZERO, took: Duration::ZERO };
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let length = socket.read(&mut buffer).expect("the gateway answers");
        if length == 0 {
            break;
        }
        if response.bytes == 0 {
            response.first_byte = start.elapsed();
            let status = buffer.get(9..12).and_then(|status| std::str::from_utf8(status).ok());
            response.status = status.and_then(|status| status.parse().ok()).expect("a status line");
        }
        response.bytes += length;
        visit(&buffer[..length]);
    }
    response.took = start.elapsed();
    response
}
