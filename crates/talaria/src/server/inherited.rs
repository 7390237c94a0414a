//! Sockets that the service manager has opened before the process was started (systemd.socket(5), sd_listen_fds(3)). A server
//! whose address is that of one of them listens on it, so that connections wait while the process is replaced.

use std::net::{SocketAddr, TcpListener};

use listenfd::ListenFd;

use super::address::Address;

/// The sockets that no server has taken yet.
#[derive(Debug, Default)]
pub struct Inherited(Vec<TcpListener>);

impl Inherited {
    /// Those of this process. They are taken out of the environment: a second call finds none.
    #[must_use]
    pub fn of_process() -> Self {
        let mut passed = ListenFd::from_env();
        let listeners = (0..passed.len()).filter_map(|index| match passed.take_tcp_listener(index) {
            Ok(listener) => listener,
            Err(error) => {
                tracing::warn!(index, %error, "a socket of the service manager is not for TCP and is not used");
                None
            }
        });
        Self(listeners.collect())
    }

    /// The socket that listens on this address.
    pub(super) fn take(&mut self, address: &Address) -> Option<TcpListener> {
        let is_its = |listener: &TcpListener| listener.local_addr().is_ok_and(|local| is_at(address, local));
        let found = self.0.iter().position(is_its)?;
        Some(self.0.swap_remove(found))
    }

    /// Names the sockets that no server listens on: connections to them would wait for ever. They are closed.
    pub fn close_others(self) {
        for address in self.0.iter().filter_map(|listener| listener.local_addr().ok()) {
            tracing::warn!(%address, "no server has the address of a socket of the service manager, it is closed");
        }
    }
}

fn is_at(address: &Address, local: SocketAddr) -> bool {
    address.port() == local.port() && address.resolve().is_ok_and(|addresses| addresses.contains(&local))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_takes_the_socket_of_its_address_once() {
        let listener = |address: &str| TcpListener::bind(address).unwrap();
        let (loopback, any) = (listener("127.0.0.1:0"), listener("0.0.0.0:0"));
        let address = |listener: &TcpListener| listener.local_addr().unwrap();
        let (loopback_address, any_port) = (address(&loopback), address(&any).port());
        let mut inherited = Inherited(vec![loopback, any]);
        assert!(inherited.take(&Address::any(loopback_address.port())).is_none(), "another interface");
        let taken = inherited.take(&Address::loopback(loopback_address.port())).unwrap();
        assert_eq!(address(&taken), loopback_address);
        assert!(inherited.take(&Address::loopback(loopback_address.port())).is_none(), "taken already");
        assert!(inherited.take(&Address::any(any_port)).is_some());
    }
}
