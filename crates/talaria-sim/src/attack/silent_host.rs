//! A host that accepts connections, reads them, and never answers. Attackers name it in their events.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// The host. It stops when it is dropped.
#[derive(Debug)]
pub(super) struct SilentHost {
    pub(super) address: SocketAddr,
    _accepting: JoinSet<()>,
}

impl SilentHost {
    /// Listens on a free port of the loopback interface.
    pub(super) async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let mut accepting = JoinSet::new();
        accepting.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                while connections.try_join_next().is_some() {}
                connections.spawn(async move {
                    let mut bytes = [0; 4096];
                    while matches!(stream.read(&mut bytes).await, Ok(read) if read > 0) {}
                });
            }
        });
        Ok(Self { address, _accepting: accepting })
    }
}
