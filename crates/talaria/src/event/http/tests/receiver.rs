//! An event receiver for tests: over real sockets, or in memory so that time can be paused.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use talaria_protocol::url::Origin;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::event::http::dial::{Dial, Dialing, Lookup, Stream};
use crate::event::http::post_error::PostError;

/// What a receiver does with a request.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// Answers with this status.
    Status(u16),
    /// Answers with this status and `Retry-After`.
    RetryAfter(u16, String),
    /// Answers 202, then closes the connection without having said so.
    AcceptAndClose,
    /// Sends the request somewhere else.
    Redirect(u16, String),
    /// Answers 202 with a body of this length, in chunks.
    Chunked(usize),
    /// Sends these bytes one after the other, and goes on as it says.
    Bytes(&'static str, Then),
    /// Waits, then answers 202.
    After(Duration),
    /// Closes the connection instead of answering.
    Close,
    /// Sends something that is not HTTP.
    Nonsense,
    /// Never answers.
    Silence,
}

/// What a receiver does with a connection after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    Reads,
    Closes,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) method: String,
    pub(crate) path: String,
    /// As they were written, in their order.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) at: Instant,
    /// The number of the connection it came over.
    pub(crate) connection: usize,
    /// What was dialled, if that was in memory.
    pub(crate) origin: Option<Origin>,
}

/// Decides on an answer; the number is that of the request.
type Script = dyn Fn(&Received, usize) -> Answer + Send + Sync;

/// Cheap to clone: all clones are the same receiver.
#[derive(Clone)]
pub(crate) struct Receiver(Arc<Inner>);

struct Inner {
    script: Box<Script>,
    requests: Mutex<Vec<Received>>,
    connections: Mutex<usize>,
    arrived: Notify,
}

impl Receiver {
    pub(crate) fn new(script: impl Fn(&Received, usize) -> Answer + Send + Sync + 'static) -> Self {
        Self(Arc::new(Inner {
            script: Box::new(script),
            requests: Mutex::default(),
            connections: Mutex::new(0),
            arrived: Notify::new(),
        }))
    }

    /// One that always gives the same answer.
    pub(crate) fn answering(answer: Answer) -> Self {
        Self::new(move |_, _| answer.clone())
    }

    /// Listens on a free port of this host.
    pub(crate) async fn listen(&self) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let receiver = self.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(receiver.clone().serve(stream, None));
            }
        });
        address
    }

    pub(crate) fn requests(&self) -> Vec<Received> {
        self.0.requests.lock().clone()
    }

    pub(crate) fn connections(&self) -> usize {
        *self.0.connections.lock()
    }

    /// Waits until there have been so many requests.
    pub(crate) async fn received(&self, count: usize) {
        loop {
            let arrived = self.0.arrived.notified();
            if self.0.requests.lock().len() >= count {
                return;
            }
            arrived.await;
        }
    }

    pub(crate) async fn serve(self, mut stream: impl AsyncRead + AsyncWrite + Unpin, origin: Option<Origin>) {
        let connection = {
            let mut connections = self.0.connections.lock();
            *connections += 1;
            *connections
        };
        // An error ends the connection, as it does everywhere.
        let _ = self.converse(&mut stream, connection, origin).await;
    }

    async fn converse(
        &self,
        stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
        connection: usize,
        origin: Option<Origin>,
    ) -> io::Result<()> {
        let mut buffer = Vec::new();
        loop {
            let Some(mut request) = read_request(stream, &mut buffer, connection).await? else {
                return Ok(());
            };
            request.origin.clone_from(&origin);
            let number = {
                let mut requests = self.0.requests.lock();
                requests.push(request.clone());
                requests.len()
            };
            self.0.arrived.notify_waiters();
            match (self.0.script)(&request, number) {
                Answer::Status(status) => respond(stream, status, "").await?,
                Answer::RetryAfter(status, wait) => {
                    respond(stream, status, &format!("Retry-After: {wait}\r\n")).await?;
                }
                Answer::AcceptAndClose => return respond(stream, 202, "").await,
                Answer::Redirect(status, to) => {
                    respond(stream, status, &format!("Location: {to}\r\n")).await?;
                }
                Answer::Chunked(length) => {
                    let (chunk, last) = (format!("{length:x}\r\n{}\r\n", "x".repeat(length)), "0\r\n\r\n");
                    let head = "HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\n";
                    for piece in [head, &chunk, last] {
                        stream.write_all(piece.as_bytes()).await?;
                        stream.flush().await?;
                        tokio::task::yield_now().await;
                    }
                }
                Answer::Bytes(bytes, then) => {
                    for byte in bytes.as_bytes().chunks(1) {
                        stream.write_all(byte).await?;
                        stream.flush().await?;
                        tokio::task::yield_now().await;
                    }
                    if then == Then::Closes {
                        return stream.shutdown().await;
                    }
                }
                Answer::After(delay) => {
                    tokio::time::sleep(delay).await;
                    respond(stream, 202, "").await?;
                }
                Answer::Close => return Ok(()),
                Answer::Nonsense => stream.write_all(b"SSH-2.0-x\r\n").await?,
                Answer::Silence => std::future::pending().await,
            }
        }
    }
}

/// Dials receivers in memory, by host name; `*` stands for every host without its own.
#[derive(Default)]
pub(crate) struct Memory(pub(crate) HashMap<&'static str, Receiver>);

impl Stream for DuplexStream {}

impl Dial for Memory {
    fn dial(&self, origin: &Origin, _: &Lookup) -> Dialing {
        let receiver = self.0.get(&*origin.host).or_else(|| self.0.get("*")).cloned();
        let origin = origin.clone();
        Box::pin(async move {
            let Some(receiver) = receiver else {
                return Err(PostError::Connect(io::ErrorKind::ConnectionRefused.into()));
            };
            let (near, far) = tokio::io::duplex(64 * 1024);
            tokio::spawn(receiver.serve(far, Some(origin)));
            let stream: Box<dyn Stream> = Box::new(near);
            Ok(stream)
        })
    }
}

async fn read_request(
    stream: &mut (impl AsyncRead + Unpin),
    buffer: &mut Vec<u8>,
    connection: usize,
) -> io::Result<Option<Received>> {
    loop {
        let mut headers = [httparse::EMPTY_HEADER; 32];
        let mut parsed = httparse::Request::new(&mut headers);
        if let Ok(httparse::Status::Complete(head)) = parsed.parse(buffer) {
            let headers: Vec<(String, String)> = parsed
                .headers
                .iter()
                .map(|header| (header.name.to_owned(), String::from_utf8_lossy(header.value).into_owned()))
                .collect();
            let length = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
            let length: usize = length.map_or(0, |(_, length)| length.parse().unwrap());
            if buffer.len() >= head + length {
                let request = Received {
                    method: parsed.method.unwrap_or_default().to_owned(),
                    path: parsed.path.unwrap_or_default().to_owned(),
                    headers,
                    body: buffer[head..head + length].to_vec(),
                    at: Instant::now(),
                    connection,
                    origin: None,
                };
                buffer.drain(..head + length);
                return Ok(Some(request));
            }
        }
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
}

async fn respond(stream: &mut (impl AsyncWrite + Unpin), status: u16, headers: &str) -> io::Result<()> {
    let response = format!("HTTP/1.1 {status} Whatever\r\n{headers}Content-Length: 0\r\n\r\n");
    stream.write_all(response.as_bytes()).await?;
    stream.flush().await
}
