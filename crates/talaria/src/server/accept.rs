//! Accepting connections: one listening socket, one task, and a way to stop it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinError, JoinHandle, JoinSet};
use tokio::time::Instant;

use super::connection::{self, Door};
use super::metrics::Connections;
use super::rate::RateLimiter;
use super::tls::{Tls, TlsError, reload};
use super::{Address, Config, ConnectionMetrics, Failure, Handler, Identity};

/// How many connections may wait to be accepted: a storm of reconnecting devices comes all at once.
const BACKLOG: i32 = 4096;

/// The pauses after a failed accept grow from the first to the second.
const SHORTEST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// A server that listens but does not accept yet.
#[derive(Debug)]
pub struct Server {
    name: &'static str,
    listener: TcpListener,
    local_addr: SocketAddr,
    config: Config,
    identity: Identity,
    connections: Arc<Connections>,
    tls: Option<Arc<Tls>>,
}

/// A server at work. Dropping it closes its socket, cuts its HTTP connections and leaves its certificates as they are.
#[derive(Debug)]
pub struct Running {
    local_addr: SocketAddr,
    stopping: watch::Sender<bool>,
    accepting: JoinHandle<()>,
    /// Keeps the certificates as their files are.
    reloading: Option<AbortHandle>,
}

/// Why a server cannot be had. The server's name is also its section in the configuration.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// It cannot listen on its address.
    #[error("the {server} server cannot listen on {address} (key {server}.address): {source}")]
    Address {
        /// The server.
        server: &'static str,
        /// The address as configured.
        address: Address,
        /// What the system said.
        source: io::Error,
    },
    /// Its certificates cannot be used any more: they could when the configuration was checked.
    #[error("the {server} server cannot use TLS (key {server}.{}): {source}", .source.key.as_str())]
    Tls {
        /// The server.
        server: &'static str,
        /// What is wrong with which file.
        source: TlsError,
    },
}

impl Server {
    /// Listens on the configured address; connections wait until [`Server::start`].
    ///
    /// # Errors
    /// If the address cannot be resolved or is in use, or a certificate cannot be used.
    pub fn bind(
        name: &'static str,
        config: Config,
        identity: Identity,
        metrics: &ConnectionMetrics,
    ) -> Result<Self, BindError> {
        let tls = config.tls.clone().map(Tls::load).transpose();
        let tls = tls.map_err(|source| BindError::Tls { server: name, source })?;
        let bound = listen(&config.address).and_then(|listener| Ok((listener.local_addr()?, listener)));
        match bound {
            Ok((local_addr, listener)) => {
                let connections = metrics.of(name, config.max_connections);
                Ok(Self { name, listener, local_addr, config, identity, connections, tls })
            }
            Err(source) => Err(BindError::Address { server: name, address: config.address, source }),
        }
    }

    /// Where it listens; tells the port that the system chose.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Accepts connections and has `handler` answer their requests.
    pub fn start<H: Handler>(self, handler: H) -> Running {
        let (name, local_addr) = (self.name, self.local_addr);
        let (stopping, stop) = watch::channel(false);
        tracing::info!(server = name, address = %local_addr, tls = self.tls.is_some(), "starting server");
        if self.config.is_exposed_at(local_addr) {
            tracing::warn!(
                server = name,
                address = %local_addr,
                "everybody who reaches this server can do harm: bind it to a loopback address, or set authKey or \
                 clientCACertFile"
            );
        }
        let reloading = self.tls.clone().map(|tls| tokio::spawn(reload(name, tls)).abort_handle());
        Running { local_addr, stopping, accepting: tokio::spawn(self.accept(handler, stop)), reloading }
    }

    async fn accept<H: Handler>(self, handler: H, mut stop: watch::Receiver<bool>) {
        let Self { name, listener, config, identity, connections, tls, .. } = self;
        let mut limiter = config.rate.map(RateLimiter::new);
        let door = Arc::new(Door::new(config, identity, Arc::clone(&connections), tls, handler));
        let mut tasks = JoinSet::new();
        let mut pause = Pause::default();
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((socket, peer)) => {
                        pause.over(name);
                        if limiter.as_mut().is_some_and(|limiter| !limiter.allows(peer.ip(), Instant::now())) {
                            connections.failed(Failure::RateLimited);
                            turn_away(socket);
                        } else if let Some(permit) = connections.admit() {
                            // It only costs latency if it fails.
                            let _ = socket.set_nodelay(true);
                            tasks.spawn(connection::serve(socket, peer, permit, Arc::clone(&door), stop.clone()));
                        } else {
                            turn_away(socket);
                        }
                    }
                    Err(error) => pause.after(name, &error).await,
                },
                Some(ended) = tasks.join_next() => report(name, ended),
                () = told_to_stop(&mut stop) => break,
            }
        }
        drop(listener);
        while let Some(ended) = tasks.join_next().await {
            report(name, ended);
        }
    }
}

impl Running {
    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Stops accepting at once, lets the requests under way finish, and cuts what is left after `within`.
    /// Upgraded connections are not this server's any more and stay as they are.
    pub async fn stop(mut self, within: Duration) {
        self.stop_accepting();
        let _ = tokio::time::timeout(within, &mut self.accepting).await;
    }

    /// Stops accepting at once; connections end with the response that is under way.
    pub fn stop_accepting(&self) {
        self.stopping.send_replace(true);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.accepting.abort();
        if let Some(reloading) = &self.reloading {
            reloading.abort();
        }
    }
}

/// Waits between failing accepts, and tells of the first failure and of the recovery only.
#[derive(Debug, Default)]
struct Pause {
    /// How long the last one was; `None` while all is well.
    last: Option<Duration>,
}

impl Pause {
    /// Out of descriptors or memory, trying again at once would spin: the connection stays in the backlog.
    async fn after(&mut self, server: &'static str, error: &io::Error) {
        let Some(pause) = self.next(error) else { return };
        if self.last.is_none() {
            tracing::warn!(server, %error, "cannot accept connections, trying again");
        }
        self.last = Some(pause);
        tokio::time::sleep(pause).await;
    }

    fn over(&mut self, server: &'static str) {
        if self.last.take().is_some() {
            tracing::info!(server, "accepting connections again");
        }
    }

    /// How long to wait; `None` if the failure was that one connection's.
    fn next(&self, error: &io::Error) -> Option<Duration> {
        use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
        if matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted) {
            return None;
        }
        Some(self.last.map_or(SHORTEST_PAUSE, |last| (last * 2).min(LONGEST_PAUSE)))
    }
}

/// Also ends when nobody is left to tell.
pub(super) async fn told_to_stop(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

fn listen(address: &Address) -> io::Result<TcpListener> {
    let mut failure = io::ErrorKind::AddrNotAvailable.into();
    for address in address.resolve()? {
        match listen_on(address) {
            Ok(listener) => return Ok(listener),
            // Half an address would not be what was asked for.
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => return Err(error),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

fn listen_on(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() && address.ip().is_unspecified() {
        socket.set_only_v6(false)?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    TcpListener::from_std(socket.into())
}

/// Beyond the limit a connection is accepted and closed (contract §9.7).
fn turn_away(socket: TcpStream) {
    drop(socket);
}

fn report(server: &'static str, ended: Result<(), JoinError>) {
    match ended {
        Ok(()) => {}
        Err(error) if error.is_cancelled() => {}
        Err(error) => tracing::error!(server, %error, "a connection's task failed"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn running_out_of_descriptors_is_retried_ever_more_slowly() {
        let too_many_open_files = io::Error::from_raw_os_error(libc::EMFILE);
        let mut pause = Pause::default();
        let mut pauses = Vec::new();
        for _ in 0..10 {
            pause.last = pause.next(&too_many_open_files);
            pauses.extend(pause.last);
        }
        assert_eq!(pauses[..3], [5, 10, 20].map(Duration::from_millis));
        assert_eq!(pauses[9], LONGEST_PAUSE);
    }

    #[test]
    fn a_client_that_left_before_it_was_accepted_stops_nobody() {
        let aborted = io::Error::from_raw_os_error(libc::ECONNABORTED);
        assert_eq!(Pause::default().next(&aborted), None);
    }

    #[tokio::test]
    async fn an_address_in_use_is_named_with_its_key() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let config =
            Config { address: Address::loopback(taken.local_addr().unwrap().port()), ..Config::on_port(0) };
        let metrics = ConnectionMetrics::register(&crate::telemetry::metrics::Metrics::default());
        let identity = Identity::new("", "", "", "", jiff::Timestamp::UNIX_EPOCH).unwrap();
        let error = Server::bind("primary", config, identity, &metrics).unwrap_err().to_string();
        assert!(error.contains("primary.address"), "{error}");
        assert!(error.contains("127.0.0.1:"), "{error}");
    }
}
