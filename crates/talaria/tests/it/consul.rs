//! A fleet of gateways on the stand-in for Consul (contract §11): registrations, moves, errors, withdrawals.

use std::time::Duration;

use serde_json::json;

use crate::support::certificates::Authority;
use crate::support::consul::{Consul, Mood};
use crate::support::device::Device;
use crate::support::eventually;
use crate::support::fleet::{self, Place, moving};
use crate::support::fleet_client::FleetClient;
use crate::support::process::GatewayProcess;
use crate::support::receiver::Receiver;

/// Reached only by a test that fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a gateway at this place registers and watches.
fn service(place: &Place, consul: &Consul, more: &str) -> String {
    let (host, port) = (place.primary.ip(), place.primary.port());
    format!(
        "device: {{rehasher: {{rate: 50}}}}\n\
         service:\n  defaultScheme: http\n  consul:\n    client: {{address: '{}', waitTime: 2s{more}}}\n    disableGenerateID: true\n    \
         registrations:\n    - id: 'talaria-{host}'\n      name: talaria\n      tags: [dev, stage=test]\n      address: '{host}'\n      \
         port: {port}\n      meta: {{zone: a}}\n      checks:\n      \
         - {{checkID: 'talaria-{host}:ttl', ttl: 2s, deregisterCriticalServiceAfter: 70s}}\n      \
         - {{checkID: 'talaria-{host}:http', http: 'http://{}/health', interval: 500ms}}\n    \
         watches:\n    - {{service: talaria, tags: [dev, stage=test], passingOnly: true}}\n",
        consul.address(),
        place.health,
    )
}

async fn knows(gateway: &GatewayProcess, instances: usize) {
    fleet::knows(gateway, "talaria", instances).await;
}

fn instances(places: &[Place]) -> Vec<String> {
    places.iter().map(Place::instance).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_three_gateways_leaves_and_comes_back_and_only_its_devices_move() {
    let consul = Consul::start().await;
    let places = [Place::of(1), Place::of(2), Place::of(3)];
    let mut gateways = Vec::new();
    for place in &places {
        gateways.push(place.start(&service(place, &consul, "")).await);
    }
    for gateway in &gateways {
        knows(gateway, 3).await;
    }
    let configurations = places.each_ref().map(|place| service(place, &consul, ""));
    let ids = || (consul.ids() == ["talaria-127.0.0.1", "talaria-127.0.0.2"]).then_some(());
    fleet::one_leaves_and_comes_back(&places, &configurations, gateways, "talaria", async || {
        ids().expect("it has deregistered");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn go_clients_find_the_gateways_with_tags_meta_and_checks() {
    let Some(go) = FleetClient::get().await else { return };
    let consul = Consul::start().await;
    let places = [Place::of(1), Place::of(2)];
    let mut gateways = Vec::new();
    for place in &places {
        gateways.push(place.start(&service(place, &consul, "")).await);
    }
    let mut urls: Vec<String> = places.iter().map(|place| place.primary.to_string()).collect();
    urls.sort_unstable();
    let seen = go.run(&["instances-consul", &consul.address(), "talaria", "2"]).await;
    assert_eq!(seen, [json!(urls)], "what go-kit's instancer sees");

    let health = go.run(&["health", &consul.address(), "talaria"]).await.remove(0);
    let entry = &health["entries"][0];
    let service = &entry["Service"];
    assert_eq!(
        json!([
            service["ID"],
            service["Service"],
            service["Tags"],
            service["Meta"],
            service["Address"],
            service["Port"]
        ]),
        json!(["talaria-127.0.0.1", "talaria", ["dev", "stage=test"], {"zone": "a"}, "127.0.0.1", places[0].primary.port()])
    );
    let checks: Vec<_> = entry["Checks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|check| json!([check["CheckID"], check["Status"], check["Type"]]))
        .collect();
    assert_eq!(
        json!(checks),
        json!([["talaria-127.0.0.1:http", "passing", "http"], ["talaria-127.0.0.1:ttl", "passing", "ttl"]])
    );
    let output = entry["Checks"][1]["Output"].as_str().unwrap();
    assert!(
        output.starts_with("talaria-127.0.0.1 passed at 20") && output.ends_with(" +0000 UTC"),
        "{output}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn consul_may_be_down_at_the_start_and_later_and_an_error_changes_nothing() {
    let consul = Consul::start().await;
    consul.set_mood(Mood::Down);
    let place = Place::of(1);
    let gateway = place.start(&service(&place, &consul, "")).await;
    let device = Device::connect(gateway.primary(), "mac:112233445566").await;
    let errors = async || gateway.metric("talaria_talaria_sd_error_count", &["talaria"]).await;
    eventually("errors are counted", PATIENCE, async || errors().await > 1.0).await;
    consul.set_mood(Mood::Well);
    knows(&gateway, 1).await;
    for (times, mood) in (2..).zip([Mood::NoLeader, Mood::Babbling, Mood::Down]) {
        let before = errors().await;
        consul.set_mood(mood);
        eventually("errors are counted", PATIENCE, async || errors().await > before).await;
        consul.set_mood(Mood::Well);
        eventually("it answers again", PATIENCE, async || {
            gateway.log_lines("service discovery answers again").len() == times
        })
        .await;
    }
    let asked = consul.queries();
    eventually("a query waits", PATIENCE, async || consul.queries() > asked + 1).await;
    consul.restore();
    eventually("the index that went back is noticed", PATIENCE, async || {
        gateway.log().contains("Index went backwards")
    })
    .await;
    assert!(device.is_connected());
    consul.forget();
    eventually("it registers again", PATIENCE, async || consul.ids() == ["talaria-127.0.0.1"]).await;
    assert!(gateway.log_line("consul does not know this registration any more, registering again").is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_instances_and_a_refusal_disconnect_all_and_it_comes_back_by_itself() {
    let consul = Consul::start().await;
    let place = Place::of(1);
    let gateway = place.start(&service(&place, &consul, "")).await;
    knows(&gateway, 1).await;
    let device = Device::connect(gateway.primary(), "mac:112233445566").await;
    consul.set_mood(Mood::Empty);
    device.ended().await;
    consul.set_mood(Mood::Well);
    knows(&gateway, 1).await;
    let device = Device::connect(gateway.primary(), "mac:112233445566").await;
    consul.require_token("secret");
    device.ended().await;
    let line = gateway.log_line("disconnecting all devices: service discovery error").unwrap();
    assert!(
        line["error"].as_str().unwrap().starts_with("Unexpected response code: 403 (Permission denied"),
        "{line}"
    );
    for reason in ["sd_no_instances", "sd_error"] {
        let all = gateway.metric("talaria_talaria_rehash_disconnect_all_count", &[reason]).await as usize;
        assert_eq!(all, 1, "{reason}");
    }
    consul.require_token("");
    knows(&gateway, 1).await;
    eventually("it is registered again", PATIENCE, async || consul.ids() == ["talaria-127.0.0.1"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closed_gate_and_a_drain_of_all_devices_withdraw_the_registration_first() {
    let consul = Consul::start().await;
    let (place, other) = (Place::of(1), Place::of(2));
    let gateway = place.start(&service(&place, &consul, "")).await;
    let _other = other.start(&service(&other, &consul, "")).await;
    knows(&gateway, 2).await;
    let (all, own) = (instances(&[place.clone(), other.clone()]), instances(std::slice::from_ref(&place)));
    let elsewhere = moving((0..20).map(|number| format!("mac:{number:012x}")), &own, &all);
    let id = (0..20).map(|number| format!("mac:{number:012x}")).find(|id| !elsewhere.contains(id)).unwrap();
    let device = Device::connect(gateway.primary(), &id).await;
    assert_eq!(place.control("POST /api/v3/device/gate?open=false").await, 201);
    eventually("it is deregistered", PATIENCE, async || consul.ids() == ["talaria-127.0.0.2"]).await;
    knows(&gateway, 1).await;
    assert!(device.is_connected(), "those that are connected stay (contract §7.1)");
    assert_eq!(place.control("POST /api/v3/device/gate?open=true").await, 201);
    eventually("it is registered again", PATIENCE, async || consul.ids().len() == 2).await;
    knows(&gateway, 2).await;
    assert!(device.is_connected());
    let registrations = consul.registrations();
    assert_eq!(place.control("POST /api/v3/device/drain").await, 200);
    device.ended().await;
    eventually("it is registered again", PATIENCE, async || consul.registrations() > registrations).await;
    eventually("the drain ends", PATIENCE, async || gateway.log_line("drain finished").is_some()).await;
    let lines = gateway.log();
    let at = |text: &str| lines.rfind(text).unwrap_or_else(|| panic!("no line {text}"));
    assert!(at("deregistered at consul") < at("drain finished"), "{lines}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_is_not_in_its_own_ring_says_so() {
    let consul = Consul::start().await;
    let (place, other) = (Place::of(1), Place::of(2));
    let gateway = place.start(&service(&place, &consul, "")).await;
    knows(&gateway, 1).await;
    // Another gateway with the same id takes the registration over.
    let same_id = service(&other, &consul, "").replace("id: 'talaria-127.0.0.2'", "id: 'talaria-127.0.0.1'");
    let _other = other.start(&same_id).await;
    let text = "this gateway is not among the instances of its own fleet: check address, port, id and checks of its registration";
    eventually("it says so", PATIENCE, async || gateway.log_line(text).is_some()).await;
    let line = gateway.log_line(text).unwrap();
    assert!(line["follows"].as_str().unwrap().contains("410 Gone"), "{line}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_cross_datacenter_the_instances_of_all_datacenters_are_the_fleet() {
    let consul = Consul::start().await;
    consul.set_datacenter("dc2", &[("talaria", "10.0.0.9:6200")]);
    let place = Place::of(1);
    let configuration = service(&place, &consul, "")
        .replace("tags: [dev, stage=test], passingOnly: true", "crossDatacenter: true");
    let gateway = place.start(&configuration).await;
    for key in ["dc1", "dc2"] {
        eventually("both are watched", PATIENCE, async || {
            let label = format!("{{passingOnly=false}}{{datacenter={key}}}");
            gateway.metric("talaria_talaria_sd_instance_count", &[&label]).await as usize == 1
        })
        .await;
    }
}

/// Contract §11.6
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_go_to_the_instances_of_the_receivers_that_consul_knows() {
    let consul = Consul::start().await;
    let (one, other) = (Receiver::start().await, Receiver::start().await);
    consul.set_datacenter("dc2", &[("caduceus", &one.authority())]);
    let place = Place::of(1);
    let watches = "    - {service: caduceus, crossDatacenter: true}\n";
    let outbound = "device: {outbound: {enableConsulRoundRobin: true, eventEndpoints: {default: 'http://receivers.invalid/notify'}, \
                    transport: {idleConnTimeout: 1ms}}, rehasher: {rate: 50}}\n";
    let service = service(&place, &consul, "").replacen("device: {rehasher: {rate: 50}}\n", outbound, 1);
    let gateway = place.start(&(service + watches)).await;
    fleet::knows(&gateway, "caduceus", 1).await;
    let _device = Device::connect(gateway.primary(), "mac:112233445566").await;
    eventually("the online event arrives at the instance", PATIENCE, async || one.count() == 1).await;

    let updates = async || gateway.metric("talaria_talaria_sd_update_count", &["caduceus", "dc2"]).await;
    let before = updates().await;
    consul.set_datacenter("dc2", &[("caduceus", &other.authority())]);
    eventually("the gateway has heard of it", PATIENCE, async || updates().await > before).await;
    let _device = Device::connect(gateway.primary(), "mac:112233445567").await;
    eventually("the next one arrives at the other instance", PATIENCE, async || other.count() == 1).await;
}

/// Contract §11.5
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn consul_is_reached_by_tls_with_a_certificate_of_the_gateway_and_no_other_is_trusted() {
    let authority = Authority::new();
    let consul =
        Consul::start_tls(authority.server_with_clients(&authority.issue(&["consul.example"]))).await;
    let pair = authority.pair("gateway", &["gateway.example"]);
    let (certificate, key) = (pair.certificate.display(), pair.key.display());
    let client = format!("certFile: '{certificate}', keyFile: '{key}', address: consul.example");
    let place = Place::of(1);
    let tls = |keys: &str| service(&place, &consul, &format!(", scheme: https, tlsConfig: {{{keys}}}"));
    // The system's authorities do not know it.
    let gateway = place.start(&tls(&client)).await;
    let errors = async || gateway.metric("talaria_talaria_sd_error_count", &["talaria"]).await;
    eventually("it is not trusted", PATIENCE, async || errors().await > 0.0).await;
    assert!(consul.ids().is_empty() && consul.queries() == 0, "nothing was said to it");
    let trusted = format!("{client}, caFile: '{}'", authority.ca().display());
    place.reload(&gateway, &tls(&trusted));
    knows(&gateway, 1).await;
    assert_eq!(consul.ids(), ["talaria-127.0.0.1"]);
    let before = errors().await;
    place.reload(&gateway, &tls(&trusted.replace("consul.example", "another.example")));
    eventually("the name counts", PATIENCE, async || errors().await > before).await;
}
