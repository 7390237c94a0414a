//! A client that sends the very bytes it is given, and reads responses one by one.

use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

pub(crate) struct Client<S = TcpStream> {
    pub(crate) socket: S,
    received: Vec<u8>,
}

#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).await.unwrap())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    /// A client on a connection of any kind.
    pub(crate) fn over(socket: S) -> Self {
        Self { socket, received: Vec::new() }
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.socket.write_all(bytes.as_ref()).await.unwrap();
    }

    /// The next response; panics if the connection ends first.
    pub(crate) async fn response(&mut self) -> Response {
        self.next_response().await.expect("a response before the connection's end")
    }

    /// The next response; `None` if the connection ends before it is complete.
    pub(crate) async fn next_response(&mut self) -> Option<Response> {
        loop {
            if let Some((response, length)) = parse(&self.received) {
                self.received.drain(..length);
                return Some(response);
            }
            if !self.read_more().await {
                return None;
            }
        }
    }

    /// Waits for the connection's end and returns what came until then.
    pub(crate) async fn rest(mut self) -> Vec<u8> {
        while self.read_more().await {}
        self.received
    }

    /// Says that nothing more comes, and returns what comes until the connection's end.
    pub(crate) async fn rest_after_close_of_writing(mut self) -> Vec<u8> {
        self.socket.shutdown().await.unwrap();
        self.rest().await
    }

    async fn read_more(&mut self) -> bool {
        // A reset is an end too.
        self.socket.read_buf(&mut self.received).await.unwrap_or(0) > 0
    }
}

impl Response {
    /// The only header of this name; panics if there are two.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name));
        let value = values.next();
        assert!(values.next().is_none(), "{name} twice in {self:?}");
        value.map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {:?}", self.text()))
    }
}

/// One request on a connection of its own.
pub(crate) async fn request(address: SocketAddr, request: impl AsRef<[u8]>) -> Response {
    let mut client = Client::connect(address).await;
    client.send(request).await;
    client.response().await
}

fn parse(bytes: &[u8]) -> Option<(Response, usize)> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut head = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(head_length) = head.parse(bytes).unwrap() else { return None };
    let text = |value: &[u8]| String::from_utf8(value.to_vec()).unwrap();
    let headers = head.headers.iter().map(|header| (header.name.to_owned(), text(header.value))).collect();
    let mut response = Response { status: head.code.unwrap(), headers, body: Vec::new() };
    let rest = &bytes[head_length..];
    let body_length = if response.header("transfer-encoding") == Some("chunked") {
        chunks(rest, &mut response.body)?
    } else {
        let length = response.header("content-length").map_or(0, |length| length.parse().unwrap());
        response.body.extend_from_slice(rest.get(..length)?);
        length
    };
    Some((response, head_length + body_length))
}

fn chunks(bytes: &[u8], body: &mut Vec<u8>) -> Option<usize> {
    let mut at = 0;
    loop {
        let line = bytes.get(at..)?.windows(2).position(|pair| pair == b"\r\n")?;
        let length = usize::from_str_radix(std::str::from_utf8(&bytes[at..at + line]).unwrap(), 16).unwrap();
        let data = at + line + 2;
        body.extend_from_slice(bytes.get(data..data + length)?);
        at = data + length + 2;
        if length == 0 {
            return (at <= bytes.len()).then_some(at);
        }
    }
}
