//! The listening socket of one server and the task that accepts its connections.
//!
//! [`Server`] listens, [`RunningServer`] accepts. What happens on a connection is in `connection.rs`.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinError, JoinHandle, JoinSet};
use tokio::time::Instant;

use super::connection::{self, ServerContext, stop_requested};
use super::inherited::Inherited;
use super::metrics::Connections;
use super::tls::{Tls, TlsError, reload};
use super::{Address, Config, ConnectionMetrics, Handler, Identity, ServerSettings};

/// How many connections may wait to be accepted. After an outage all devices reconnect at once.
const BACKLOG: i32 = 4096;

/// The pause after a failed accept doubles with each failure, from the shortest to the longest.
const SHORTEST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// How often failed accepts are logged.
const LOG_PERIOD: Duration = Duration::from_secs(60);

/// A server that listens but does not accept yet.
#[derive(Debug)]
pub struct Server {
    name: &'static str,
    listener: TcpListener,
    local_addr: SocketAddr,
    settings: Arc<ServerSettings>,
    identity: Identity,
    connections: Arc<Connections>,
}

/// A server that accepts connections. Dropping it closes its socket, cuts its HTTP connections and stops the task that
/// reloads its certificates.
#[derive(Debug)]
pub struct RunningServer {
    local_addr: SocketAddr,
    stopping: watch::Sender<bool>,
    accepting: JoinHandle<()>,
}

/// The task that reloads the certificates of a server when their files change. Dropping this ends it.
struct Reloading(AbortHandle);

/// Why a server cannot listen. Its name is also its section in the configuration.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The address is in use or not local.
    #[error("the {server} server cannot listen on {address} (key {server}.address): {source}")]
    Address {
        /// The server.
        server: &'static str,
        /// The address as configured.
        address: Address,
        /// The operating system's error.
        source: io::Error,
    },
    /// Its certificates cannot be used. They could when the configuration was checked, so they have changed since.
    #[error("the {server} server cannot use TLS (key {server}.{}): {source}", .source.key.as_str())]
    Tls {
        /// The server.
        server: &'static str,
        /// The file, and what is wrong with it.
        source: TlsError,
    },
}

impl Server {
    /// Listens on the configured address. Connections wait in the backlog until [`Server::start`].
    ///
    /// # Errors
    /// If the address cannot be resolved or is in use, or a certificate cannot be used.
    pub fn bind(
        name: &'static str,
        config: Config,
        identity: Identity,
        metrics: &ConnectionMetrics,
    ) -> Result<Self, BindError> {
        Self::inherit_or_bind(name, config, identity, metrics, &mut Inherited::default())
    }

    /// As [`Server::bind`], but on an inherited socket if one of them has the address.
    ///
    /// # Errors
    /// As [`Server::bind`].
    pub fn inherit_or_bind(
        name: &'static str,
        config: Config,
        identity: Identity,
        metrics: &ConnectionMetrics,
        inherited: &mut Inherited,
    ) -> Result<Self, BindError> {
        let tls = config.tls.clone().map(Tls::load).transpose();
        let tls = tls.map_err(|source| BindError::Tls { server: name, source })?;
        let listener = match inherited.take(&config.address) {
            Some(listener) => adopt(listener),
            None => listen(&config.address),
        };
        let bound = listener.and_then(|listener| Ok((listener.local_addr()?, listener)));
        match bound {
            Ok((local_addr, listener)) => {
                send_at_once(&listener);
                let connections = metrics.of(name, config.max_connections);
                let settings = ServerSettings::new(name, config, tls);
                Ok(Self { name, listener, local_addr, settings, identity, connections })
            }
            Err(source) => Err(BindError::Address { server: name, address: config.address, source }),
        }
    }

    /// Where it listens, with the port that the system chose if the configured one is 0.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Its settings, which may change while it runs.
    pub fn settings(&self) -> &Arc<ServerSettings> {
        &self.settings
    }

    /// Starts to accept connections, whose requests `handler` answers.
    pub fn start<H: Handler>(self, handler: H) -> RunningServer {
        let (name, local_addr) = (self.name, self.local_addr);
        let (stopping, stop) = watch::channel(false);
        {
            let settings = self.settings.watch();
            let settings = settings.borrow();
            let tls = settings.tls.is_some();
            tracing::info!(server = name, address = %local_addr, tls, "starting server");
            settings.config.report_open_access(name, local_addr);
        }
        RunningServer { local_addr, stopping, accepting: tokio::spawn(self.accept(handler, stop)) }
    }

    async fn accept<H: Handler>(self, handler: H, mut stop: watch::Receiver<bool>) {
        let Self { name, listener, local_addr, settings, identity, connections } = self;
        let mut changes = settings.watch();
        let current = Arc::clone(&changes.borrow_and_update());
        let mut reloading = Reloading::start(name, current.tls.as_ref(), &connections);
        let server = ServerContext::new(name, &current, identity, Arc::clone(&connections), handler);
        let mut server = Arc::new(server);
        let mut tasks = JoinSet::new();
        let mut backoff = AcceptBackoff::default();
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((socket, peer)) => {
                        backoff.succeeded();
                        // Beyond a limit the connection is accepted and closed at once (contract §9.7).
                        if !server.is_behind_proxy(peer) && !server.is_within_rate(peer) {
                            continue;
                        }
                        if let Some(permit) = connections.permit() {
                            // In a box, because tokio moves a future several times when a task starts and when it ends.
                            let serving =
                                connection::serve(socket, peer, permit, Arc::clone(&server), stop.clone());
                            tasks.spawn(Box::pin(serving));
                        }
                    }
                    Err(error) => backoff.failed(name, &error).await,
                },
                Some(ended) = tasks.join_next() => report(name, ended),
                Ok(()) = changes.changed() => {
                    let current = Arc::clone(&changes.borrow_and_update());
                    if !server.has_tls(current.tls.as_ref()) {
                        reloading = Reloading::start(name, current.tls.as_ref(), &connections);
                    }
                    current.config.report_open_access(name, local_addr);
                    server = Arc::new(server.with(&current));
                }
                () = stop_requested(&mut stop) => break,
            }
        }
        drop((listener, reloading));
        while let Some(ended) = tasks.join_next().await {
            report(name, ended);
        }
    }
}

impl RunningServer {
    /// Where it listens.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Stops accepting at once, lets the current requests finish, and cuts the connections that are left after `within`.
    /// Upgraded connections do not belong to the server any more and stay open.
    pub async fn stop(mut self, within: Duration) {
        self.stop_accepting();
        let _ = tokio::time::timeout(within, &mut self.accepting).await;
    }

    /// Stops accepting at once. Each connection ends after its current response.
    pub fn stop_accepting(&self) {
        self.stopping.send_replace(true);
    }
}

impl Drop for RunningServer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Reloading {
    fn start(server: &'static str, tls: Option<&Arc<Tls>>, connections: &Arc<Connections>) -> Option<Self> {
        let Some(tls) = tls else {
            connections.has_certificates_until(None);
            return None;
        };
        let reloads = reload(server, Arc::clone(tls), Arc::clone(connections));
        Some(Self(tokio::spawn(reloads).abort_handle()))
    }
}

impl Drop for Reloading {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Waits between failed accepts. They are logged once a minute, with their number, however often accepts succeed between
/// them.
#[derive(Debug, Default)]
struct AcceptBackoff {
    /// The last pause; none if the last accept succeeded.
    last: Option<Duration>,
    /// When failures were last logged.
    logged: Option<Instant>,
    /// How many there were since.
    unlogged: u64,
}

impl AcceptBackoff {
    /// Waits if the failure is the system's: without file descriptors or memory, an immediate retry would spin, because
    /// the connection stays in the backlog.
    async fn failed(&mut self, server: &'static str, error: &io::Error) {
        let Some(pause) = self.next(error) else { return };
        if let Some(failures) = self.count(Instant::now()) {
            tracing::warn!(server, %error, failures, "cannot accept connections, trying again");
        }
        self.last = Some(pause);
        tokio::time::sleep(pause).await;
    }

    fn succeeded(&mut self) {
        self.last = None;
    }

    /// Counts a failure. Returns how many there were since the last line if another line is due.
    fn count(&mut self, now: Instant) -> Option<u64> {
        self.unlogged += 1;
        if self.logged.is_some_and(|logged| now - logged < LOG_PERIOD) {
            return None;
        }
        self.logged = Some(now);
        Some(std::mem::take(&mut self.unlogged))
    }

    /// How long to wait; no time at all if the failure concerns that one connection only.
    fn next(&self, error: &io::Error) -> Option<Duration> {
        use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
        if matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted) {
            return None;
        }
        Some(self.last.map_or(SHORTEST_PAUSE, |last| (last * 2).min(LONGEST_PAUSE)))
    }
}

/// The backlog is the service manager's (`Backlog=`).
fn adopt(listener: std::net::TcpListener) -> io::Result<TcpListener> {
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

fn listen(address: &Address) -> io::Result<TcpListener> {
    let mut failure = io::ErrorKind::AddrNotAvailable.into();
    for address in address.resolve()? {
        match listen_on(address) {
            Ok(listener) => return Ok(listener),
            // Another address of the host may be free, but the operator asked for this port on all of them.
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

/// Lets the connections of a listener send small pieces at once. On Linux they inherit this from it, which spares each of them
/// a system call.
fn send_at_once(listener: &TcpListener) {
    // If this fails, it costs latency and nothing else.
    let _ = SockRef::from(listener).set_tcp_nodelay(true);
}

fn report(server: &'static str, ended: Result<(), JoinError>) {
    match ended {
        Ok(()) => {}
        Err(error) if error.is_cancelled() => {}
        Err(error) => {
            tracing::error!(server, %error, "the task of a connection panicked, its connection is lost");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_pause_without_file_descriptors_is_longer_than_the_last() {
        let too_many_open_files = io::Error::from_raw_os_error(libc::EMFILE);
        let mut backoff = AcceptBackoff::default();
        let mut pauses = Vec::new();
        for _ in 0..10 {
            backoff.last = backoff.next(&too_many_open_files);
            pauses.extend(backoff.last);
        }
        assert_eq!(pauses[..3], [5, 10, 20].map(Duration::from_millis));
        assert_eq!(pauses[9], LONGEST_PAUSE);
    }

    #[test]
    fn failed_accepts_are_logged_once_a_minute_even_if_others_succeed() {
        let (mut backoff, start) = (AcceptBackoff::default(), Instant::now());
        assert_eq!(backoff.count(start), Some(1));
        for second in 1..60 {
            backoff.succeeded();
            assert_eq!(backoff.count(start + Duration::from_secs(second)), None);
        }
        assert_eq!(backoff.count(start + LOG_PERIOD), Some(60));
    }

    #[test]
    fn a_client_that_left_before_it_was_accepted_causes_no_pause() {
        let aborted = io::Error::from_raw_os_error(libc::ECONNABORTED);
        assert_eq!(AcceptBackoff::default().next(&aborted), None);
    }

    fn bind(port: u16) -> Result<Server, BindError> {
        let config = Config { address: Address::loopback(port), ..Config::on_port(0) };
        let metrics = ConnectionMetrics::register(&crate::telemetry::metrics::Metrics::default());
        let identity = Identity::new("", "", "", "", jiff::Timestamp::UNIX_EPOCH).unwrap();
        Server::bind("primary", config, identity, &metrics)
    }

    #[tokio::test]
    async fn connections_send_small_pieces_at_once() {
        let server = bind(0).unwrap();
        let _client = std::net::TcpStream::connect(server.local_addr()).unwrap();
        let (socket, _) = server.listener.accept().await.unwrap();
        assert!(socket.nodelay().unwrap());
    }

    #[tokio::test]
    async fn an_address_in_use_is_named_with_its_key() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let error = bind(taken.local_addr().unwrap().port()).unwrap_err().to_string();
        assert!(error.contains("primary.address"), "{error}");
        assert!(error.contains("127.0.0.1:"), "{error}");
    }
}
