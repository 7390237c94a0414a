//! A fleet of gateways on a real Apache ZooKeeper (contract §11.8).

use std::time::Duration;

use realkafka::ZooKeeper;
use serde_json::json;

use crate::support::consul::Consul;
use crate::support::device::Device;
use crate::support::eventually;
use crate::support::fleet::{self, Place};
use crate::support::fleet_client::FleetClient;

/// Reached only by a test that fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is watched, and where the gateways are registered.
const PATH: &str = "/xmidt/test/talaria";

/// A ZooKeeper of the test's own; `None` where it cannot be had, which has been said loudly then.
async fn zookeeper() -> Option<ZooKeeper> {
    tokio::task::spawn_blocking(ZooKeeper::start).await.unwrap()
}

fn service(place: &Place, zookeeper: &ZooKeeper, session: &str) -> String {
    let (host, port) = (place.primary.ip(), place.primary.port());
    format!(
        "device: {{rehasher: {{rate: 50}}}}\n\
         service:\n  defaultScheme: http\n  zookeeper:\n    client: {{connection: '{}', sessionTimeout: {session}}}\n    \
         registrations: [{{path: /xmidt/test, name: talaria, address: '{host}', port: {port}}}]\n    watches: [{PATH}]\n",
        zookeeper.address()
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_three_gateways_leaves_and_comes_back_and_only_its_devices_move() {
    let Some(zookeeper) = zookeeper().await else { return };
    let places = [Place::of(1), Place::of(2), Place::of(3)];
    let configurations = places.each_ref().map(|place| service(place, &zookeeper, "10s"));
    let mut gateways = Vec::new();
    for (place, configuration) in places.iter().zip(&configurations) {
        gateways.push(place.start(configuration).await);
    }
    for gateway in &gateways {
        fleet::knows(gateway, PATH, 3).await;
    }
    fleet::one_leaves_and_comes_back(&places, &configurations, gateways, PATH, async || {}).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn go_kit_finds_the_gateways_and_they_find_what_it_writes() {
    let Some(zookeeper) = zookeeper().await else { return };
    let Some(go) = FleetClient::get().await else { return };
    let places = [Place::of(1), Place::of(2)];
    let mut gateways = Vec::new();
    for place in &places {
        gateways.push(place.start(&service(place, &zookeeper, "10s")).await);
    }
    let mut urls: Vec<String> = places.iter().map(Place::instance).collect();
    urls.sort_unstable();
    assert_eq!(go.run(&["instances-zookeeper", zookeeper.address(), PATH, "2"]).await, [json!(urls)]);
    let register =
        ["register-zookeeper", zookeeper.address(), "/xmidt/test", "talaria", "http://127.0.0.9:1"];
    tokio::join!(async { drop(go.run(&register).await) }, fleet::knows(&gateways[0], PATH, 3));
    fleet::knows(&gateways[0], PATH, 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_is_lost_is_replaced_and_the_devices_stay() {
    let Some(zookeeper) = zookeeper().await else { return };
    let place = Place::of(1);
    let gateway = place.start(&service(&place, &zookeeper, "1s")).await;
    fleet::knows(&gateway, PATH, 1).await;
    let device = Device::connect(gateway.primary(), "mac:112233445566").await;
    let count = |text: &str| gateway.log_lines(text).len();
    let answers = "service discovery answers again";
    // A crash: the session is found again, or has ended if the start took longer than that.
    zookeeper.kill();
    zookeeper.restart();
    eventually("it is connected again", PATIENCE, async || count(answers) == 1).await;
    fleet::knows(&gateway, PATH, 1).await;
    // It comes back without anything: the session is unknown.
    let text = "the session at zookeeper has ended, registering in a new one";
    let (ended, registered) = (count(text), count("registered at zookeeper"));
    zookeeper.kill();
    zookeeper.restart_empty();
    eventually("another session", PATIENCE, async || count(text) > ended).await;
    eventually("it is registered again", PATIENCE, async || count("registered at zookeeper") > registered)
        .await;
    eventually("its instances are known again", PATIENCE, async || count(answers) == 2).await;
    fleet::knows(&gateway, PATH, 1).await;
    // It says nothing for longer than a session.
    zookeeper.pause();
    let connected = gateway.log_lines("connected to zookeeper").len();
    eventually("the silence is noticed", PATIENCE, async || gateway.log().contains("it says nothing")).await;
    zookeeper.resume();
    eventually("it is connected again", PATIENCE, async || {
        gateway.log_lines("connected to zookeeper").len() > connected
    })
    .await;
    fleet::knows(&gateway, PATH, 1).await;
    assert!(device.is_connected());
    assert!(gateway.metric("talaria_talaria_sd_error_count", &[PATH]).await > 1.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn zookeeper_may_be_down_at_the_start_and_a_closed_gate_withdraws() {
    let Some(zookeeper) = zookeeper().await else { return };
    zookeeper.kill();
    let place = Place::of(1);
    let gateway = place.start(&service(&place, &zookeeper, "10s")).await;
    let device = Device::connect(gateway.primary(), "mac:112233445566").await;
    eventually("errors are counted", PATIENCE, async || {
        gateway.metric("talaria_talaria_sd_error_count", &[PATH]).await > 1.0
    })
    .await;
    zookeeper.restart();
    fleet::knows(&gateway, PATH, 1).await;
    assert!(device.is_connected());
    assert_eq!(place.control("POST /api/v3/device/gate?open=false").await, 201);
    fleet::knows(&gateway, PATH, 0).await;
    assert!(device.is_connected(), "it has withdrawn, so that it counts as an instance (contract §7.1)");
    assert_eq!(gateway.metric("talaria_talaria_sd_registered", &[]).await as usize, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_replaces_zookeeper_by_consul_and_consul_by_zookeeper_and_the_devices_stay() {
    let Some(zookeeper) = zookeeper().await else { return };
    let consul = Consul::start().await;
    let (place, other) = (Place::of(1), Place::of(2));
    let at_zookeeper = service(&place, &zookeeper, "10s");
    let (host, port) = (place.primary.ip(), place.primary.port());
    let at_consul = format!(
        "service:\n  defaultScheme: http\n  consul:\n    client: {{address: '{}', waitTime: 1s}}\n    disableGenerateID: true\n    \
         registrations: [{{name: talaria, address: '{host}', port: {port}, checks: [{{checkID: c, ttl: 10s}}]}}]\n    \
         watches: [{{service: talaria}}]\n",
        consul.address()
    );
    let gateway = place.start(&at_zookeeper).await;
    fleet::knows(&gateway, PATH, 1).await;
    let device = Device::connect(gateway.primary(), "mac:112233445566").await;
    let witness = other
        .start(&service(&other, &zookeeper, "10s").replace("talaria, address", "witness, address"))
        .await;
    fleet::knows(&witness, PATH, 1).await;

    place.reload(&gateway, &at_consul);
    eventually("it is registered at consul", PATIENCE, async || consul.ids() == ["talaria"]).await;
    fleet::knows(&gateway, "talaria[]", 1).await;
    fleet::knows(&witness, PATH, 0).await;
    assert!(device.is_connected());

    place.reload(&gateway, &at_zookeeper);
    fleet::knows(&witness, PATH, 1).await;
    fleet::knows(&gateway, PATH, 1).await;
    eventually("it is not registered at consul", PATIENCE, async || consul.ids().is_empty()).await;
    assert!(device.is_connected());
}
