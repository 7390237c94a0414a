//! Tickets of TLS sessions that clients keep (RFC 8446 §4.6.1).
//!
//! All clients of a program share them: a gateway does not know for which device it made a ticket, so a fleet needs only as
//! many as devices connect at the same time.

use std::collections::VecDeque;
use std::fmt;

use parking_lot::Mutex;
use rustls::NamedGroup;
use rustls::client::{
    ClientSessionMemoryCache, ClientSessionStore, Tls12ClientSessionValue, Tls13ClientSessionValue,
};
use rustls::pki_types::ServerName;

/// The most tickets that are kept. Beyond it the oldest is dropped.
const MOST: usize = 4096;

/// The servers of which sessions of TLS 1.2 are kept, one of each.
const SERVERS: usize = 16;

/// Whether clients keep tickets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tickets {
    /// They resume a session when they connect again.
    Kept,
    /// Each handshake is a full one, as after a restart of the client.
    Ignored,
}

/// The tickets of TLS 1.3, each for one use, and what rustls keeps by itself of TLS 1.2.
pub(super) struct KeptTickets {
    tickets: Mutex<VecDeque<(ServerName<'static>, Tls13ClientSessionValue)>>,
    others: ClientSessionMemoryCache,
}

impl KeptTickets {
    pub(super) fn new() -> Self {
        Self { tickets: Mutex::default(), others: ClientSessionMemoryCache::new(SERVERS) }
    }
}

impl ClientSessionStore for KeptTickets {
    fn set_kx_hint(&self, server: ServerName<'static>, group: NamedGroup) {
        self.others.set_kx_hint(server, group);
    }

    fn kx_hint(&self, server: &ServerName<'_>) -> Option<NamedGroup> {
        self.others.kx_hint(server)
    }

    fn set_tls12_session(&self, server: ServerName<'static>, session: Tls12ClientSessionValue) {
        self.others.set_tls12_session(server, session);
    }

    fn tls12_session(&self, server: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        self.others.tls12_session(server)
    }

    fn remove_tls12_session(&self, server: &ServerName<'static>) {
        self.others.remove_tls12_session(server);
    }

    fn insert_tls13_ticket(&self, server: ServerName<'static>, ticket: Tls13ClientSessionValue) {
        let mut tickets = self.tickets.lock();
        if tickets.len() == MOST {
            tickets.pop_front();
        }
        tickets.push_back((server, ticket));
    }

    fn take_tls13_ticket(&self, server: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        let mut tickets = self.tickets.lock();
        // The newest: an older one may be of a gateway that is gone.
        let at = tickets.iter().rposition(|(of, _)| of == server)?;
        tickets.remove(at).map(|(_, ticket)| ticket)
    }
}

impl fmt::Debug for KeptTickets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptTickets").field("tickets", &self.tickets.lock().len()).finish_non_exhaustive()
    }
}
