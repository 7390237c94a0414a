//! The stand-in for Consul, driven by HashiCorp's own Go client: what the client believes of it is what these tests check.

use std::time::Duration;

use serde_json::json;

use crate::support::consul::{Consul, Mood};
use crate::support::eventually;
use crate::support::fleet_client::FleetClient;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_with_a_time_to_live_lives_as_consul_documents_it() {
    let Some(go) = FleetClient::get().await else { return };
    let consul = Consul::start().await;
    let states = go.run(&["life", &consul.address()]).await;
    assert_eq!(json!(states), json!(["critical", "passing", "critical", "gone", true, 0]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blocking_query_waits_for_a_change_and_its_index_grows() {
    let Some(go) = FleetClient::get().await else { return };
    let consul = Consul::start().await;
    let address = consul.address();
    let blocking = tokio::spawn(async move { go.run(&["block", &address, "mortal"]).await });
    // The second query is the one that waits.
    eventually("the client waits", Duration::from_secs(20), async || consul.queries() == 2).await;
    let address = consul.address();
    tokio::spawn(async move { go.run(&["life", &address]).await });
    let seen = blocking.await.unwrap();
    assert_eq!(seen[0]["instances"], 0);
    assert_eq!(seen[1]["instances"], 1);
    assert!(seen[1]["index"].as_u64() > seen[0]["index"].as_u64(), "{seen:?}");
    assert!(seen[1]["waitedMs"].as_u64() < Some(19_000), "{seen:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_errors_are_those_that_the_client_tells_apart() {
    let Some(go) = FleetClient::get().await else { return };
    let consul = Consul::start().await;
    let health = async |token: &str| go.run(&["health", &consul.address(), "talaria", token]).await.remove(0);
    assert_eq!(health("").await["knownLeader"], true);
    consul.set_mood(Mood::NoLeader);
    assert_eq!(
        health("").await,
        json!({"error": "Unexpected response code: 500 (No cluster leader)", "retryable": true})
    );
    consul.set_mood(Mood::Well);
    consul.require_token("secret");
    let refused = health("wrong").await;
    assert!(
        refused["error"].as_str().unwrap().starts_with("Unexpected response code: 403 (Permission denied")
    );
    assert_eq!(refused["retryable"], false);
    assert_eq!(health("secret").await["entries"], json!([]));
    consul.require_token("");
    consul.set_datacenter("dc2", &[]);
    assert_eq!(go.run(&["datacenters", &consul.address()]).await, [json!(["dc1", "dc2"])]);
    consul.set_mood(Mood::Down);
    assert_eq!(health("").await["retryable"], true);
}
