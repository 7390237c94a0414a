//! An event receiver on a real socket that is bad in one way or another for a time.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;
use wrp::{Message, MessageRef};

use super::event::number;

const ACCEPTED: &str = "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n";

/// How a receiver is bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bad {
    /// Its port is closed.
    Dead,
    /// It accepts and does not answer.
    Hangs,
    /// It answers with a byte a second.
    Trickles,
    /// It resets the connection.
    Resets,
    /// It answers with this head.
    Answers(&'static str),
    /// It closes the connection in the middle of its answer.
    ClosesMidAnswer,
    /// It answers 202 after two seconds.
    Slow,
}

/// A receiver that is bad for a time.
pub(crate) struct BadReceiver {
    address: SocketAddr,
    state: Arc<State>,
    accepting: JoinSet<()>,
}

struct State {
    bad: Bad,
    is_good: AtomicBool,
    /// The events that were accepted.
    accepted: Mutex<Vec<(Instant, usize)>>,
}

impl BadReceiver {
    /// It is good at first.
    pub(crate) fn start(bad: Bad) -> Self {
        let socket = reusing();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = socket.local_addr().unwrap();
        let state = Arc::new(State { bad, is_good: AtomicBool::new(true), accepted: Mutex::default() });
        let mut receiver = Self { address, state, accepting: JoinSet::new() };
        receiver.accept(socket.listen(128).unwrap());
        receiver
    }

    pub(crate) async fn fall_ill(&mut self) {
        self.state.is_good.store(false, Relaxed);
        if self.state.bad == Bad::Dead {
            self.accepting.shutdown().await;
        }
    }

    pub(crate) fn heal(&mut self) {
        self.state.is_good.store(true, Relaxed);
        if self.state.bad == Bad::Dead {
            let socket = reusing();
            socket.bind(self.address).unwrap();
            self.accept(socket.listen(128).unwrap());
        }
    }

    fn accept(&mut self, listener: TcpListener) {
        let state = Arc::clone(&self.state);
        self.accepting.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(stream, Arc::clone(&state)));
            }
        });
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/x", self.address)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// When it accepted each event so far.
    pub(crate) fn times(&self) -> Vec<Instant> {
        self.state.accepted.lock().iter().map(|(at, _)| *at).collect()
    }

    /// How many different events it has accepted.
    pub(crate) fn accepted(&self) -> usize {
        let mut numbers: Vec<_> = self.state.accepted.lock().iter().map(|(_, number)| *number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers.len()
    }
}

fn reusing() -> TcpSocket {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket
}

async fn serve(mut stream: TcpStream, state: Arc<State>) {
    let mut buffer = Vec::new();
    while let Some(message) = read_request(&mut stream, &mut buffer).await {
        let is_written = respond(&mut stream, &state).await;
        if !is_written {
            return;
        }
        if let Some((_, number)) = number(&message) {
            state.accepted.lock().push((Instant::now(), number));
        }
    }
}

/// Whether the event was accepted; the connection is closed if it was not.
async fn respond(stream: &mut TcpStream, state: &State) -> bool {
    if !state.is_good.load(Relaxed) {
        match state.bad {
            Bad::Dead => {}
            Bad::Hangs => healed(state).await,
            Bad::Trickles => {
                for at in 0..ACCEPTED.len() {
                    if state.is_good.load(Relaxed) {
                        return stream.write_all(&ACCEPTED.as_bytes()[at..]).await.is_ok();
                    }
                    if stream.write_all(&ACCEPTED.as_bytes()[at..=at]).await.is_err() {
                        return false;
                    }
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
            Bad::Resets => {
                stream.set_zero_linger().unwrap();
                return false;
            }
            Bad::Answers(head) => {
                let _ = stream.write_all(head.as_bytes()).await;
                return false;
            }
            Bad::ClosesMidAnswer => {
                let _ = stream.write_all(&ACCEPTED.as_bytes()[..20]).await;
                return false;
            }
            Bad::Slow => tokio::time::sleep(Duration::from_secs(2)).await,
        }
    }
    stream.write_all(ACCEPTED.as_bytes()).await.is_ok()
}

async fn healed(state: &State) {
    while !state.is_good.load(Relaxed) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn read_request(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<Message> {
    loop {
        let mut headers = [httparse::EMPTY_HEADER; 16];
        let mut request = httparse::Request::new(&mut headers);
        if let Ok(httparse::Status::Complete(head)) = request.parse(buffer) {
            let length = headers.iter().find(|header| header.name.eq_ignore_ascii_case("content-length"))?;
            let end = head + std::str::from_utf8(length.value).ok()?.parse::<usize>().ok()?;
            if buffer.len() >= end {
                let message = MessageRef::decode_v3(&buffer[head..end]).unwrap().to_owned();
                buffer.drain(..end);
                return Some(message);
            }
        }
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
}
