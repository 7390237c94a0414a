//! The addresses of hosts: asked of the system's resolver, and kept for a while.
//!
//! The system's resolver does not say how long an answer is valid, so answers are kept for a configured time, and given up
//! before that when no connection can be made with them. Callers that ask for the same host at the same time share one
//! resolution. Deliberately absent: which addresses may be connected to (`allowed.rs`). Start reading at
//! [`Resolver::resolve`].

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, ToSocketAddrs as _};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::Shared;
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::event::http::post_error::lookup_is_temporary;

/// The hosts whose addresses are kept.
const MAX_HOSTS: usize = 1024;

/// The name resolution of one worker. The system's resolver cannot be interrupted, so that a resolution may go on after its
/// worker has given it up; until then, the worker cannot begin another one.
#[derive(Clone)]
pub(in crate::event) struct Lookup(Arc<Semaphore>);

/// Resolves hosts and keeps their addresses.
pub(super) struct Resolver {
    system: Box<System>,
    max_age: Duration,
    hosts: Mutex<HashMap<Box<str>, Entry>>,
}

/// The addresses of a host; at least one.
#[derive(Clone, Debug)]
pub(super) struct Resolved {
    pub(super) addresses: Arc<[IpAddr]>,
    pub(super) origin: AnswerOrigin,
}

/// Where an answer comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AnswerOrigin {
    /// The resolver, just now. An address that stands in place of a name counts as such.
    Asked,
    /// An earlier resolution.
    Kept,
}

/// Asks the system; blocks its thread.
type System = dyn Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync;

/// A resolution that several callers wait for.
type Asking = Shared<Pin<Box<dyn Future<Output = Result<Arc<[IpAddr]>, Arc<io::Error>>> + Send>>>;

enum Entry {
    Known(Known),
    /// A resolution runs. If it fails only for now, what was known before stays in use (RFC 8767).
    Asked {
        asking: Asking,
        before: Option<Known>,
    },
}

#[derive(Clone)]
struct Known {
    addresses: Arc<[IpAddr]>,
    since: Instant,
}

impl Lookup {
    pub(in crate::event) fn new() -> Self {
        Self(Arc::new(Semaphore::new(1)))
    }

    /// Whether a resolution goes on that was given up.
    pub(in crate::event) fn is_running(&self) -> bool {
        self.0.available_permits() == 0
    }

    /// Waits until no resolution runs.
    pub(in crate::event) async fn ended(&self) {
        // The semaphore is never closed.
        drop(self.0.acquire().await);
    }

    /// Runs a resolution on a thread of its own.
    ///
    /// # Errors
    /// The thread could not run it to its end.
    pub(in crate::event) async fn run<T: Send + 'static>(
        &self,
        resolve: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<T> {
        let permit = Arc::clone(&self.0).acquire_owned().await.map_err(io::Error::other)?;
        let resolve = move || {
            let resolved = resolve();
            drop(permit);
            resolved
        };
        tokio::task::spawn_blocking(resolve).await.map_err(io::Error::other)
    }
}

impl Resolver {
    /// Asks the system's resolver, and keeps its answers for `max_age`.
    pub(super) fn new(max_age: Duration) -> Arc<Self> {
        Self::with(max_age, |host| (host, 0).to_socket_addrs().map(|found| found.map(|to| to.ip()).collect()))
    }

    pub(super) fn with(
        max_age: Duration,
        system: impl Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self { system: Box::new(system), max_age, hosts: Mutex::default() })
    }

    /// The addresses of a host, in the order in which they should be tried.
    ///
    /// # Errors
    /// The host has none, or the resolver failed.
    pub(super) async fn resolve(self: &Arc<Self>, host: &str, lookup: &Lookup) -> io::Result<Resolved> {
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(Resolved { addresses: Arc::new([address]), origin: AnswerOrigin::Asked });
        }
        let asking = match self.known(host, lookup) {
            Ok(addresses) => return Ok(Resolved { addresses, origin: AnswerOrigin::Kept }),
            Err(asking) => asking,
        };
        let answer = asking.clone().await;
        self.finish(host, &asking, answer)
    }

    /// Gives up an answer with which no connection could be made. A newer one stays.
    pub(super) fn forget(&self, host: &str, addresses: &Arc<[IpAddr]>) {
        let mut hosts = self.hosts.lock();
        let is_this =
            matches!(hosts.get(host), Some(Entry::Known(known)) if Arc::ptr_eq(&known.addresses, addresses));
        if is_this {
            hosts.remove(host);
        }
    }

    /// The addresses that are known, or the resolution to wait for.
    fn known(self: &Arc<Self>, host: &str, lookup: &Lookup) -> Result<Arc<[IpAddr]>, Asking> {
        let mut hosts = self.hosts.lock();
        let before = match hosts.get(host) {
            Some(Entry::Known(known)) if known.since.elapsed() < self.max_age => {
                return Ok(Arc::clone(&known.addresses));
            }
            Some(Entry::Asked { asking, .. }) => return Err(asking.clone()),
            Some(Entry::Known(known)) => Some(known.clone()),
            None => None,
        };
        if before.is_none() && hosts.len() >= MAX_HOSTS {
            remove_oldest(&mut hosts);
        }
        let asking = self.ask(host, lookup);
        hosts.insert(host.into(), Entry::Asked { asking: asking.clone(), before });
        Err(asking)
    }

    fn ask(self: &Arc<Self>, host: &str, lookup: &Lookup) -> Asking {
        let (resolver, host, lookup) = (Arc::clone(self), host.to_owned(), lookup.clone());
        let ask = async move {
            let found = lookup.run(move || (resolver.system)(&host)).await.and_then(|found| found);
            match found {
                Ok(found) if found.is_empty() => Err(Arc::new(io::ErrorKind::NotFound.into())),
                found => found.map(Into::into).map_err(Arc::new),
            }
        };
        let ask: Pin<Box<dyn Future<Output = _> + Send>> = Box::pin(ask);
        ask.shared()
    }

    /// The first caller to see the answer puts it into the table.
    fn finish(
        &self,
        host: &str,
        asking: &Asking,
        answer: Result<Arc<[IpAddr]>, Arc<io::Error>>,
    ) -> io::Result<Resolved> {
        let mut hosts = self.hosts.lock();
        let entry = hosts.get_mut(host);
        let before = match &entry {
            Some(Entry::Asked { asking: current, before }) if current.ptr_eq(asking) => Some(before.clone()),
            _ => None,
        };
        let known = match answer {
            Ok(addresses) => Ok((addresses, AnswerOrigin::Asked)),
            Err(error) => match before.clone().flatten() {
                Some(before) if lookup_is_temporary(&error) => Ok((before.addresses, AnswerOrigin::Kept)),
                _ => Err(io::Error::new(error.kind(), error)),
            },
        };
        if let (Some(entry), Some(_)) = (entry, before) {
            match &known {
                Ok((addresses, _)) => {
                    *entry = Entry::Known(Known { addresses: Arc::clone(addresses), since: Instant::now() });
                }
                Err(_) => drop(hosts.remove(host)),
            }
        }
        known.map(|(addresses, origin)| Resolved { addresses, origin })
    }
}

/// Removes the answer that is the oldest. Resolutions that run are as many as the workers that wait for them.
fn remove_oldest(hosts: &mut HashMap<Box<str>, Entry>) {
    let known = hosts.iter().filter_map(|(host, entry)| match entry {
        Entry::Known(known) => Some((known.since, host)),
        Entry::Asked { .. } => None,
    });
    if let Some(oldest) = known.min().map(|(_, host)| host.clone()) {
        hosts.remove(&oldest);
    }
}

#[cfg(test)]
mod tests;
