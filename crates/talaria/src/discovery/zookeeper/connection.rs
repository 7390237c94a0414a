//! A connection to one ZooKeeper server: one request at a time, events in between, pings when there is nothing else.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use talaria_protocol::discovery::zookeeper::{
    ConnectReply, Frame, Reply, Request, Session, ZooKeeperError, connect, next_frame,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use super::config::Config;

/// How many events may wait to be looked at. What they say is only that something has changed.
const MOST_EVENTS: usize = 1024;

/// A connection in an open session.
pub(super) struct Connection {
    stream: TcpStream,
    received: BytesMut,
    /// What was not sent when its sender was dropped.
    unsent: BytesMut,
    session: Session,
    /// The session's timeout, as the servers set it.
    timeout: Duration,
    xid: i32,
    zxid: i64,
    /// When something was last sent.
    sent: Instant,
    /// When something was last received.
    heard: Instant,
    events: VecDeque<String>,
}

/// Why a connection, or a request, is of no use.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectionError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("the session has ended")]
    Expired,
    #[error("it says nothing")]
    Silent,
    #[error("what it says is not ZooKeeper's protocol")]
    Malformed,
    /// The connection is still good.
    #[error(transparent)]
    Request(ZooKeeperError),
}

impl ConnectionError {
    /// The error of a single request.
    ///
    /// # Errors
    /// If the connection is of no use.
    pub(super) fn request(self) -> Result<ZooKeeperError, Self> {
        match self {
            Self::Request(ZooKeeperError::SessionExpired) => Err(Self::Expired),
            Self::Request(ZooKeeperError::Malformed) => Err(Self::Malformed),
            Self::Request(error) => Ok(error),
            other => Err(other),
        }
    }
}

impl Connection {
    /// Connects, and opens the session or a new one.
    pub(super) async fn open(
        server: &str,
        config: &Config,
        session: &Session,
    ) -> Result<Self, ConnectionError> {
        let limit = config.connect_timeout;
        let stream =
            timeout(limit, TcpStream::connect(server)).await.map_err(|_| ConnectionError::Silent)??;
        // Each frame is sent in one write.
        stream.set_nodelay(true)?;
        let now = Instant::now();
        let mut connection = Self {
            stream,
            received: BytesMut::new(),
            unsent: BytesMut::new(),
            session: session.clone(),
            timeout: config.session_timeout,
            xid: 0,
            zxid: session.zxid,
            sent: now,
            heard: now,
            events: VecDeque::new(),
        };
        connection.send(&connect(session, config.session_timeout)).await?;
        let frame = timeout(limit, connection.frame()).await.map_err(|_| ConnectionError::Silent)??;
        match ConnectReply::read(&frame).map_err(|_| ConnectionError::Malformed)? {
            ConnectReply::Expired => Err(ConnectionError::Expired),
            ConnectReply::Open { session, timeout_ms } => {
                connection.session = session;
                connection.timeout = Duration::from_millis(timeout_ms.into());
                Ok(connection)
            }
        }
    }

    pub(super) fn session(&self) -> &Session {
        &self.session
    }

    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    pub(super) fn zxid(&self) -> i64 {
        self.zxid
    }

    /// Sends a request and waits for its answer. Must not be dropped before.
    pub(super) async fn ask(&mut self, request: Request<'_>) -> Result<Reply, ConnectionError> {
        self.xid = self.xid.checked_add(1).unwrap_or(1);
        let expected = self.xid;
        self.send(&request.frame(expected)).await?;
        let deadline = self.sent + self.silence();
        loop {
            let frame = timeout_at(deadline, self.frame()).await.map_err(|_| ConnectionError::Silent)??;
            match Frame::read(&frame).map_err(|_| ConnectionError::Malformed)? {
                Frame::Event(event) => self.keep(event.path),
                Frame::Reply { xid, zxid, result } => {
                    self.zxid = self.zxid.max(zxid);
                    if xid == expected {
                        return result.map_err(ConnectionError::Request);
                    }
                }
            }
        }
    }

    /// Waits for the next event and returns its path, while the session is kept alive. May be dropped.
    pub(super) async fn event(&mut self) -> Result<String, ConnectionError> {
        loop {
            if let Some(path) = self.events.pop_front() {
                return Ok(path);
            }
            let ping = self.sent + self.timeout / 3;
            let deadline = self.heard + self.silence();
            tokio::select! {
                frame = self.frame() => {
                    let frame = frame?;
                    match Frame::read(&frame).map_err(|_| ConnectionError::Malformed)? {
                        Frame::Event(event) => self.keep(event.path),
                        Frame::Reply { zxid, .. } => self.zxid = self.zxid.max(zxid),
                    }
                }
                () = sleep_until(ping) => self.send(&Request::Ping.frame(0)).await?,
                () = sleep_until(deadline) => return Err(ConnectionError::Silent),
            }
        }
    }

    /// For how long the server may say nothing: it answers every ping.
    fn silence(&self) -> Duration {
        self.timeout * 2 / 3
    }

    /// Sends a frame. May be dropped: what is left is sent before the next one.
    async fn send(&mut self, frame: &[u8]) -> io::Result<()> {
        self.sent = Instant::now();
        self.unsent.extend_from_slice(frame);
        while self.unsent.has_remaining() {
            self.stream.write_buf(&mut self.unsent).await?;
        }
        Ok(())
    }

    fn keep(&mut self, path: String) {
        if self.events.len() < MOST_EVENTS && !self.events.contains(&path) {
            self.events.push_back(path);
        }
    }

    /// The next frame. May be dropped: what has arrived is kept.
    async fn frame(&mut self) -> Result<Vec<u8>, ConnectionError> {
        loop {
            let found = next_frame(&self.received).map_err(|_| ConnectionError::Malformed)?;
            if let Some((frame, length)) = found {
                let frame = frame.to_vec();
                self.received.advance(length);
                return Ok(frame);
            }
            if self.stream.read_buf(&mut self.received).await? == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
            self.heard = Instant::now();
        }
    }
}
