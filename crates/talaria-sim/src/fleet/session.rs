//! A device's life: connect, talk until the connection ends, wait, connect again.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Poll, ready};
use std::time::Duration;

use rustls::ClientConnection;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::tcp::OwnedReadHalf;
use tokio::net::{TcpSocket, TcpStream};
use tokio::select;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};
use wrp::{MessageRef, MessageType};

use super::counters::add;
use super::link::Link;
use super::{Shared, convey};
use crate::ledger::{Arrival, End};
use crate::random::Random;
use crate::run::Key;
use crate::ws::{Answer, Decoder, Frame, FrameError, HandshakeError, Opcode, Request};

/// How long a connection and its handshake may take.
const CONNECT_WITHIN: Duration = Duration::from_secs(30);

/// What one read takes at most, in bytes.
const READ: usize = 64 * 1024;

thread_local! {
    /// Where reads go: one buffer a thread, not one a device.
    static BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ].into_boxed_slice());
}

/// Why a device could not connect.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectError {
    #[error("no connection to the gateway: {0}")]
    Io(#[from] io::Error),
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
    #[error("no connection to the gateway within {CONNECT_WITHIN:?}")]
    TimedOut,
}

/// Why a connection ended.
#[derive(Debug)]
enum Ended {
    /// The gateway closed it, in whatever manner.
    Closed,
    /// The gateway broke the protocol.
    Protocol,
}

/// Runs the `index`-th device until it is stopped or, if it is not to reconnect, its connection ends. Tells `first`
/// how its first attempt went.
pub(super) async fn run(fleet: Arc<Shared>, index: usize, first: mpsc::Sender<Result<(), ConnectError>>) {
    let mut first = Some(first);
    let mut failures = 0;
    while !fleet.stopped.is_closed() {
        let attempt = attempt(&fleet, index).await;
        let (outcome, connection) = match attempt {
            Ok(connection) => (Ok(()), Some(connection)),
            Err(error) => (Err(error), None),
        };
        if let Some(first) = first.take() {
            // the one who asked may have gone
            let _ = first.send(outcome).await;
        }
        if let Some((reader, link, rest)) = connection {
            failures = 0;
            talk(&fleet, index, reader, &link, rest).await;
        }
        let Some(backoff) = fleet.config.reconnect else { return };
        failures += 1;
        let wait = backoff.wait(failures, &mut Random::new());
        select! {
            () = sleep(wait) => {}
            _ = fleet.stopped.acquire() => return,
        }
    }
}

/// Connects once, when it is this device's turn, and puts the link where senders find it.
async fn attempt(fleet: &Shared, index: usize) -> Result<(OwnedReadHalf, Arc<Link>, Vec<u8>), ConnectError> {
    let Ok(_turn) = fleet.turns.acquire().await else {
        return Err(io::Error::from(io::ErrorKind::Interrupted).into());
    };
    let begun = Instant::now();
    // boxed: the handshake's state is not to be part of every device's task
    let connected =
        Box::pin(timeout(CONNECT_WITHIN, connect(fleet, index))).await.unwrap_or(Err(ConnectError::TimedOut));
    match connected {
        Ok((Connection { stream, tls }, rest)) => {
            fleet.counters.connect_latency.record(begun.elapsed());
            add(&fleet.counters.connects);
            let (reader, writer) = stream.into_split();
            let link = Arc::new(Link::new(writer, tls));
            *fleet.devices[index].link.lock() = Some(Arc::clone(&link));
            add(&fleet.counters.online);
            Ok((reader, link, rest))
        }
        Err(error) => {
            let refused = matches!(error, ConnectError::Handshake(HandshakeError::Refused { .. }));
            add(if refused { &fleet.counters.refused } else { &fleet.counters.failed_connects });
            Err(error)
        }
    }
}

/// A connection that is open, and its TLS.
struct Connection {
    stream: TcpStream,
    tls: Option<ClientConnection>,
}

/// Opens a connection and shakes hands. Returns it with what already came after the gateway's answer.
async fn connect(fleet: &Shared, index: usize) -> Result<(Connection, Vec<u8>), ConnectError> {
    let target = &fleet.config.target;
    let socket = if target.address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if let Some(source) = target.source(index) {
        socket.bind(source)?;
    }
    let mut stream = socket.connect(target.address).await?;
    stream.set_nodelay(true)?;
    let Some(tls) = &fleet.config.tls else {
        let rest = upgrade(fleet, index, &mut stream).await?;
        return Ok((Connection { stream, tls: None }, rest));
    };
    let mut stream = tls.connect(stream, &target.host).await?;
    let rest = upgrade(fleet, index, &mut stream).await?;
    let (stream, tls) = stream.into_inner();
    Ok((Connection { stream, tls: Some(tls) }, rest))
}

/// Becomes a device's connection. Returns what already came after the gateway's answer.
async fn upgrade(
    fleet: &Shared,
    index: usize,
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
) -> Result<Vec<u8>, ConnectError> {
    let target = &fleet.config.target;
    let id = &fleet.devices[index].id;
    let convey = if fleet.config.convey { convey::header(id) } else { String::new() };
    let own = [("X-Webpa-Device-Name", &**id), ("X-Webpa-Convey", convey.as_str())];
    let own = own.into_iter().filter(|(_, value)| !value.is_empty());
    let further = fleet.config.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let request = Request::new(&mut Random::new());
    stream.write_all(&request.to_bytes(&target.host, &target.path, own.chain(further))).await?;
    stream.flush().await?;

    let mut answer = Vec::with_capacity(512);
    loop {
        if stream.read_buf(&mut answer).await? == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        if let Answer::Accepted { head } = request.check(&answer)? {
            return Ok(answer.split_off(head));
        }
    }
}

/// Takes what the gateway sends until the connection ends.
async fn talk(fleet: &Shared, index: usize, mut reader: OwnedReadHalf, link: &Arc<Link>, rest: Vec<u8>) {
    let mut decoder = Decoder::default();
    let mut take = |bytes: &[u8]| decoder.feed(bytes, |frame| on_frame(fleet, index, link, &frame));
    // What TLS has already taken from the socket comes with the first, empty bytes.
    let mut ended = take(&rest).is_err().then_some(Ended::Protocol);
    ended = ended.or_else(|| link.receive(&[], &mut take).is_err().then_some(Ended::Protocol));
    drop(rest);
    while ended.is_none() {
        ended = select! {
            read = read_some(&mut reader, link, &mut take) => read.err(),
            _broken = link.drain() => Some(Ended::Closed),
        };
    }
    if let Some(Ended::Protocol) = ended {
        add(&fleet.counters.protocol_errors);
    }
    add(&fleet.counters.disconnects);
    fleet.counters.online.fetch_sub(1, Ordering::Relaxed);
    *fleet.devices[index].link.lock() = None;
}

/// Waits for bytes and hands them on where they were read: in the thread's buffer.
async fn read_some(
    reader: &mut OwnedReadHalf,
    link: &Link,
    take: &mut impl FnMut(&[u8]) -> Result<(), FrameError>,
) -> Result<(), Ended> {
    poll_fn(|cx| {
        BUFFER.with_borrow_mut(|buffer| {
            let mut buffer = ReadBuf::new(buffer);
            let read = ready!(Pin::new(&mut *reader).poll_read(cx, &mut buffer));
            Poll::Ready(match read {
                Ok(()) if !buffer.filled().is_empty() => {
                    link.receive(buffer.filled(), &mut *take).map_err(|_| Ended::Protocol)
                }
                _ => Err(Ended::Closed),
            })
        })
    })
    .await
}

fn on_frame(fleet: &Shared, index: usize, link: &Link, frame: &Frame<'_>) {
    match frame.opcode {
        Opcode::Binary => on_message(fleet, index, link, frame.payload),
        Opcode::Ping => {
            add(&fleet.counters.pings);
            // a broken connection is found out by the next read
            let _ = link.send(Opcode::Pong, |out| out.extend_from_slice(frame.payload));
        }
        // a fleet that stops has sent its own
        Opcode::Close if fleet.stopped.is_closed() => {}
        Opcode::Close => {
            let _ = link.send(Opcode::Close, |out| out.extend_from_slice(frame.payload));
        }
        Opcode::Text | Opcode::Pong => {}
    }
}

fn on_message(fleet: &Shared, index: usize, link: &Link, bytes: &[u8]) {
    let Ok(message) = MessageRef::decode_v3(bytes) else { return add(&fleet.counters.undecodable) };
    if message.is_transaction_part() {
        answer(fleet, index, link, &message);
    } else if let (MessageType::SIMPLE_EVENT, Some(key)) = (message.msg_type, acked(&message)) {
        fleet.counters.ack(message.rdr);
        if let Arrival::First { took, .. } = fleet.ledger.arrived(End::Ack, key) {
            fleet.counters.ack_latency.record(took);
        }
    } else {
        add(&fleet.counters.other_messages);
    }
}

/// Which of our events `message` acknowledges: acks carry the event's own transaction_uuid (contract §5.3).
fn acked(message: &MessageRef<'_>) -> Option<Key> {
    Key::parse(message.transaction_uuid.as_bytes())
}

/// Answers a request with its own payload.
fn answer(fleet: &Shared, index: usize, link: &Link, request: &MessageRef<'_>) {
    let answer = MessageRef {
        msg_type: request.msg_type,
        source: (&*fleet.devices[index].id).into(),
        dest: request.source,
        transaction_uuid: request.transaction_uuid,
        content_type: request.content_type,
        status: Some(200),
        path: request.path,
        payload: request.payload,
        ..MessageRef::default()
    };
    if link.send(Opcode::Binary, |out| answer.encode_v3(out)).is_ok() {
        add(&fleet.counters.requests_answered);
    }
}
