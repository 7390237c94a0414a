//! The life of a device: connect, serve the connection until it ends, wait, connect again. Start at [`run`].

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

/// The time limit for a connection and its handshake.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// The most bytes that are read at once.
const READ_SIZE: usize = 64 * 1024;

thread_local! {
    /// The buffer for reads. Each thread has one, so that devices need none.
    static BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_SIZE].into_boxed_slice());
}

/// Why a device could not connect.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectError {
    #[error("no connection to the gateway: {0}")]
    Io(#[from] io::Error),
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
    #[error("no connection to the gateway within {CONNECT_TIMEOUT:?}")]
    TimedOut,
}

/// Why a connection ended.
#[derive(Debug)]
enum Disconnect {
    /// The gateway closed it, or it broke.
    Closed,
    /// The gateway violated the protocol.
    ProtocolError,
}

/// Runs the device with this index until the fleet stops or, if devices do not reconnect, until its connection ends. Sends the
/// result of the first attempt to connect to `first_result`.
pub(super) async fn run(
    fleet: Arc<Shared>,
    index: usize,
    first_result: mpsc::Sender<Result<(), ConnectError>>,
) {
    let mut first_result = Some(first_result);
    let mut failures = 0;
    while !fleet.stopped.is_closed() {
        let attempt = attempt(&fleet, index).await;
        let (result, connection) = match attempt {
            Ok(connection) => (Ok(()), Some(connection)),
            Err(error) => (Err(error), None),
        };
        if let Some(first_result) = first_result.take() {
            // Fails if the caller of `Fleet::connect` has stopped waiting.
            let _ = first_result.send(result).await;
        }
        if let Some((reader, link, rest)) = connection {
            failures = 0;
            serve(&fleet, index, reader, &link, rest).await;
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

/// Makes one attempt to connect, when there is a permit for it, and then sets the device's link.
async fn attempt(fleet: &Shared, index: usize) -> Result<(OwnedReadHalf, Arc<Link>, Vec<u8>), ConnectError> {
    let Ok(_permit) = fleet.connect_permits.acquire().await else {
        return Err(io::Error::from(io::ErrorKind::Interrupted).into());
    };
    let begun = Instant::now();
    // Boxed, so that the task of a connected device does not contain the state of the handshake.
    let connected = Box::pin(timeout(CONNECT_TIMEOUT, connect(fleet, index)))
        .await
        .unwrap_or(Err(ConnectError::TimedOut));
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

/// An open connection, and its TLS state if it uses TLS.
struct Connection {
    stream: TcpStream,
    tls: Option<ClientConnection>,
}

/// Opens a connection and does the handshakes. Returns it with the bytes that came after the gateway's response.
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

/// Does the WebSocket handshake. Returns the bytes that came after the gateway's response.
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

    let mut response = Vec::with_capacity(512);
    loop {
        if stream.read_buf(&mut response).await? == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        if let Answer::Accepted { head } = request.check(&response)? {
            return Ok(response.split_off(head));
        }
    }
}

/// Handles frames from the gateway until the connection ends. `rest` are bytes that were read with the handshake.
async fn serve(fleet: &Shared, index: usize, mut reader: OwnedReadHalf, link: &Arc<Link>, rest: Vec<u8>) {
    let mut decoder = Decoder::default();
    let mut handle = |bytes: &[u8]| decoder.feed(bytes, |frame| on_frame(fleet, index, link, &frame));
    let mut ended = handle(&rest).is_err().then_some(Disconnect::ProtocolError);
    // rustls may hold records that it read with the handshake; a call without bytes handles them.
    ended = ended.or_else(|| link.receive(&[], &mut handle).is_err().then_some(Disconnect::ProtocolError));
    drop(rest);
    while ended.is_none() {
        ended = select! {
            read = read_some(&mut reader, link, &mut handle) => read.err(),
            _error = link.drain() => Some(Disconnect::Closed),
        };
    }
    if let Some(Disconnect::ProtocolError) = ended {
        add(&fleet.counters.protocol_errors);
    }
    add(&fleet.counters.disconnects);
    fleet.counters.online.fetch_sub(1, Ordering::Relaxed);
    *fleet.devices[index].link.lock() = None;
}

/// Waits for bytes and handles them in the thread's buffer, without a copy.
async fn read_some(
    reader: &mut OwnedReadHalf,
    link: &Link,
    handle: &mut impl FnMut(&[u8]) -> Result<(), FrameError>,
) -> Result<(), Disconnect> {
    poll_fn(|cx| {
        BUFFER.with_borrow_mut(|buffer| {
            let mut buffer = ReadBuf::new(buffer);
            let read = ready!(Pin::new(&mut *reader).poll_read(cx, &mut buffer));
            Poll::Ready(match read {
                Ok(()) if !buffer.filled().is_empty() => {
                    link.receive(buffer.filled(), &mut *handle).map_err(|_| Disconnect::ProtocolError)
                }
                _ => Err(Disconnect::Closed),
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
            // If this fails, the next read finds that the connection is broken.
            let _ = link.send(Opcode::Pong, |out| out.extend_from_slice(frame.payload));
        }
        // The device has already sent its close frame.
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
        respond(fleet, index, link, &message);
    } else if let (MessageType::SIMPLE_EVENT, Some(key)) = (message.msg_type, acknowledged(&message)) {
        fleet.counters.ack(message.rdr);
        if let Arrival::First { took, .. } = fleet.ledger.arrived(End::Ack, key) {
            fleet.counters.ack_latency.record(took);
        }
    } else {
        add(&fleet.counters.other_messages);
    }
}

/// The event that `message` acknowledges: both have the same transaction_uuid (contract §5.3).
fn acknowledged(message: &MessageRef<'_>) -> Option<Key> {
    Key::parse(message.transaction_uuid.as_bytes())
}

/// Responds to a request with the payload of the request.
fn respond(fleet: &Shared, index: usize, link: &Link, request: &MessageRef<'_>) {
    let response = MessageRef {
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
    if link.send(Opcode::Binary, |out| response.encode_v3(out)).is_ok() {
        add(&fleet.counters.requests_answered);
    }
}
