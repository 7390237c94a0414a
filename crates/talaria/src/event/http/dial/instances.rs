//! The instances of the event receivers that service discovery has found (contract §11.6).
//!
//! With `enableConsulRoundRobin`, connections to the URLs of `eventEndpoints` go to these instances in turn. An instance is
//! where the connection goes only: the host of the URL stays in the request and in the check of the certificate. Start
//! reading at [`ReceiverInstances::in_turn`].

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arc_swap::ArcSwap;
use talaria_protocol::discovery::instance;
use talaria_protocol::url::Target;

/// How many instances a connection tries before the host of the URL.
const TRIED: usize = 2;

/// How many instances are kept.
const MAX_INSTANCES: usize = 1024;

/// The instances that are known, and whose turn it is.
#[derive(Debug, Default)]
pub struct ReceiverInstances {
    known: ArcSwap<Vec<Instance>>,
    turn: AtomicUsize,
}

/// Where an instance listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Instance {
    pub(super) host: Box<str>,
    pub(super) port: u16,
}

impl ReceiverInstances {
    /// Takes these instances, `host:port` or `scheme://host:port` each, in place of the former ones. What is neither is left
    /// out.
    pub fn set<'a>(&self, instances: impl IntoIterator<Item = &'a str>) {
        let parse = |instance: &str| {
            let target = Target::parse(&instance::normalize("http", instance).ok()?).ok()?;
            let origin = &target.address().ok()?.origin;
            Some(Instance { host: origin.host.as_ref().into(), port: origin.port })
        };
        let known = instances.into_iter().filter_map(parse).take(MAX_INSTANCES).collect();
        self.known.store(Arc::new(known));
    }

    /// The instances that the next connection tries: another one first each time. None if none are known.
    pub(super) fn in_turn(&self) -> impl Iterator<Item = Instance> {
        let known = self.known.load_full();
        let first = self.turn.fetch_add(1, Ordering::Relaxed);
        (0..known.len().min(TRIED)).map(move |n| known[first.wrapping_add(n) % known.len()].clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_instance_has_its_turn_and_what_is_none_is_left_out() {
        let instances = ReceiverInstances::default();
        assert_eq!(instances.in_turn().count(), 0);
        instances.set(["a:1", "no:instance", "https://b", "http://c:3"]);
        let ports = || instances.in_turn().map(|instance| instance.port).collect::<Vec<_>>();
        ports();
        assert_eq!((ports(), ports(), ports()), (vec![3, 1], vec![1, 443], vec![443, 3]));
        instances.set([]);
        assert_eq!(instances.in_turn().count(), 0);
    }
}
