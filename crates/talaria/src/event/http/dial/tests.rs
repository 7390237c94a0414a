//! Hosts that move while their addresses are kept.

use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::net::TcpListener;

use super::*;
use crate::event::config::Http2Offer;

/// A network in which the host has these addresses, one after the other; the last one stays.
fn network(addresses: &'static [&'static str]) -> Network {
    let asked = AtomicUsize::new(0);
    let resolver = Resolver::with(Duration::from_secs(30), move |_| {
        let number = asked.fetch_add(1, Relaxed).min(addresses.len() - 1);
        Ok(vec![addresses[number].parse().unwrap()])
    });
    Network { addresses: Addresses::All, resolver, tls: Arc::new(Tls::new(Http2Offer::Offered)) }
}

async fn is_connected(network: &Network, port: u16) -> bool {
    let origin = Origin { tls: false, host: "moving".into(), port };
    network.dial(&origin, &Lookup::new()).await.is_ok()
}

#[tokio::test]
async fn a_host_is_looked_up_again_after_a_failed_connection() {
    let network = network(&["127.0.0.2", "127.0.0.1", "127.0.0.3"]);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    assert!(!is_connected(&network, port).await);
    // The second answer is kept.
    for _ in 0..3 {
        assert!(is_connected(&network, port).await);
    }
}

#[tokio::test]
async fn a_host_that_has_moved_is_found_with_the_same_attempt() {
    let network = network(&["127.0.0.1", "127.0.0.2"]);
    let before = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = before.local_addr().unwrap().port();
    let _after = TcpListener::bind(("127.0.0.2", port)).await.unwrap();
    assert!(is_connected(&network, port).await);
    drop(before);
    assert!(is_connected(&network, port).await);
}
