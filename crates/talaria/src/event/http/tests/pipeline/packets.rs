//! A receiver over a real socket that sees what arrives together, and answers all of it as one.

use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// The requests that one read has brought.
#[derive(Clone, Debug)]
pub(super) struct Packet {
    pub(super) connection: usize,
    /// The bodies, which are all that differs in these tests.
    pub(super) bodies: Vec<String>,
}

/// What the receiver does with a packet.
#[derive(Clone)]
pub(super) enum Reply {
    Send(String),
    ByteByByte(String),
    SendAndClose(String),
    /// Sends it when it is notified.
    When(Arc<Notify>, String),
}

/// Cheap to clone: all clones are the same receiver.
#[derive(Clone)]
pub(super) struct Packets {
    seen: Arc<Mutex<Vec<Packet>>>,
    arrived: Arc<Notify>,
}

type Script = dyn Fn(&Packet) -> Reply + Send + Sync;

impl Packets {
    /// Listens on a free port of this host.
    pub(super) async fn listen(
        script: impl Fn(&Packet) -> Reply + Send + Sync + 'static,
    ) -> (SocketAddr, Self) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let packets = Self { seen: Arc::default(), arrived: Arc::default() };
        let (script, receiver) = (Arc::<Script>::from(Box::new(script) as Box<Script>), packets.clone());
        tokio::spawn(async move {
            for connection in 1.. {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(receiver.clone().serve(stream, connection, Arc::clone(&script)));
            }
        });
        (address, packets)
    }

    /// The bodies of each packet.
    pub(super) fn bodies(&self) -> Vec<Vec<String>> {
        self.seen.lock().iter().map(|packet| packet.bodies.clone()).collect()
    }

    pub(super) fn connections(&self) -> usize {
        self.seen.lock().iter().map(|packet| packet.connection).max().unwrap_or_default()
    }

    /// Waits until there have been so many packets.
    pub(super) async fn arrived(&self, count: usize) {
        loop {
            let arrived = self.arrived.notified();
            if self.seen.lock().len() >= count {
                return;
            }
            arrived.await;
        }
    }

    async fn serve(self, mut stream: TcpStream, connection: usize, script: Arc<Script>) {
        // So large that each read has room for a packet.
        let mut bytes = Vec::with_capacity(256 << 10);
        loop {
            if stream.read_buf(&mut bytes).await.unwrap_or_default() == 0 {
                return;
            }
            let mut bodies = Vec::new();
            while let Some((body, length)) = first(&bytes) {
                bodies.push(body);
                bytes.drain(..length);
            }
            if bodies.is_empty() {
                continue;
            }
            let packet = Packet { connection, bodies };
            self.seen.lock().push(packet.clone());
            self.arrived.notify_waiters();
            let closes = match script(&packet) {
                Reply::Send(text) => stream.write_all(text.as_bytes()).await.is_err(),
                Reply::ByteByByte(text) => {
                    stream.set_nodelay(true).unwrap();
                    for byte in text.as_bytes().chunks(1) {
                        stream.write_all(byte).await.unwrap();
                        tokio::task::yield_now().await;
                    }
                    false
                }
                Reply::SendAndClose(text) => {
                    stream.write_all(text.as_bytes()).await.unwrap();
                    true
                }
                Reply::When(notify, text) => {
                    notify.notified().await;
                    stream.write_all(text.as_bytes()).await.is_err()
                }
            };
            if closes {
                return;
            }
        }
    }
}

/// Answers with these statuses.
pub(super) fn answers(statuses: impl IntoIterator<Item = u16>) -> String {
    let answer = |status| format!("HTTP/1.1 {status} X\r\nContent-Length: 2\r\n\r\nok");
    statuses.into_iter().map(answer).collect()
}

/// A 202 for each request of the packet.
pub(super) fn accepted(packet: &Packet) -> String {
    answers(packet.bodies.iter().map(|_| 202))
}

/// The body of the first request, and how many bytes the request has.
fn first(bytes: &[u8]) -> Option<(String, usize)> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut request = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(head) = request.parse(bytes).unwrap() else { return None };
    let length = request.headers.iter().find(|header| header.name == "Content-Length").unwrap().value;
    let length: usize = std::str::from_utf8(length).unwrap().parse().unwrap();
    let body = bytes.get(head..head + length)?;
    Some((String::from_utf8(body.to_vec()).unwrap(), head + length))
}
