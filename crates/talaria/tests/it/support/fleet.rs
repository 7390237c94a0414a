//! A fleet of gateways, each a process with an address of its own on the loopback network, and devices that connect to the
//! gateway that their hash names, as Petasos would send them there.

mod requests;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use talaria_protocol::discovery::{DEFAULT_VNODES, Ring};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use wrp::{Message, MessageType};

use super::device::Device;
use super::eventually;
use super::http::{Client, request};
use super::process::GatewayProcess;
use requests::Requests;

/// Reached only by a test that fails.
const PATIENCE: Duration = Duration::from_secs(120);

/// Devices of the fleet, unless `TALARIA_FLEET_DEVICES` says otherwise.
const DEVICES: usize = 60;

/// Where a gateway of the fleet is.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) primary: SocketAddr,
    pub(crate) health: SocketAddr,
    pub(crate) control: SocketAddr,
}

impl Place {
    /// On 127.0.0.`number`.
    pub(crate) fn of(number: u8) -> Self {
        let free = || TcpListener::bind((Ipv4Addr::new(127, 0, 0, number), 0)).unwrap().local_addr().unwrap();
        Self { primary: free(), health: free(), control: free() }
    }

    pub(crate) fn instance(&self) -> String {
        format!("http://{}", self.primary)
    }

    /// Starts the gateway. `sections` is its configuration beside the addresses.
    pub(crate) async fn start(&self, sections: &str) -> GatewayProcess {
        GatewayProcess::start_at(&self.servers(), sections).await
    }

    /// Has the gateway read another configuration.
    pub(crate) fn reload(&self, gateway: &GatewayProcess, sections: &str) {
        gateway.write_at(&self.servers(), sections);
        gateway.signal("-HUP");
    }

    fn servers(&self) -> String {
        let Self { primary, health, control } = self;
        format!(
            "primary: {{address: '{primary}'}}\nhealth: {{address: '{health}'}}\nmetric: {{address: '127.0.0.1:0'}}\n\
             control: {{address: '{control}'}}\n"
        )
    }

    /// Sends a request to the control server. Returns the status.
    pub(crate) async fn control(&self, line: &str) -> u16 {
        let text = format!("{line} HTTP/1.1\r\nHost: {}\r\nContent-Length: 0\r\n\r\n", self.control);
        request(self.control, text).await.status
    }
}

/// Devices that connect again wherever the current instances say.
pub(crate) struct Devices {
    instances: watch::Sender<Vec<String>>,
    connections: Arc<Mutex<BTreeMap<String, Connection>>>,
    _tasks: JoinSet<()>,
}

/// Where a device is connected.
#[derive(Clone, Debug, Default)]
struct Connection {
    /// Empty while it is not connected.
    instance: String,
    connects: usize,
}

impl Devices {
    /// So many devices, all connected.
    pub(crate) async fn connect(count: usize, instances: Vec<String>) -> Self {
        let (instances, current) = watch::channel(instances);
        let connections = Arc::<Mutex<BTreeMap<String, Connection>>>::default();
        let mut tasks = JoinSet::new();
        for number in 0..count {
            let id = format!("mac:{:012x}", number * 7919);
            tasks.spawn(live(id, current.clone(), Arc::clone(&connections)));
        }
        let devices = Self { instances, connections, _tasks: tasks };
        devices.settled(count).await;
        devices
    }

    /// From now on they connect to these.
    pub(crate) fn know(&self, instances: Vec<String>) {
        self.instances.send_replace(instances);
    }

    /// Waits until all are connected where they belong.
    pub(crate) async fn settled(&self, count: usize) {
        let instances = self.instances.borrow().clone();
        let ring = ring(&instances);
        eventually("every device is connected where it belongs", PATIENCE, async || {
            let connections = self.connections.lock();
            connections.len() == count
                && connections.iter().all(|(id, at)| ring.owner(id.as_bytes()) == Some(at.instance.as_str()))
        })
        .await;
    }

    /// How often each has connected.
    pub(crate) fn connects(&self) -> BTreeMap<String, usize> {
        self.connections.lock().iter().map(|(id, connection)| (id.clone(), connection.connects)).collect()
    }

    /// Begins to send events to each device without a pause.
    pub(crate) fn requests(&self) -> Requests {
        let ids = self.connections.lock().keys().cloned().collect();
        Requests::start(ids, self.instances.subscribe())
    }

    /// Sends an event to each device by the REST API of the gateway that the instances name.
    pub(crate) async fn reach_each(&self) {
        let instances = self.instances.borrow().clone();
        let ring = ring(&instances);
        let ids: Vec<String> = self.connections.lock().keys().cloned().collect();
        for id in ids {
            let gateway = address(ring.owner(id.as_bytes()).unwrap());
            assert_eq!(send(gateway, &id).await, 200, "{id} by {gateway}");
        }
    }
}

/// The ids of those that belong to another instance in the second list than in the first.
pub(crate) fn moving(ids: impl Iterator<Item = String>, before: &[String], after: &[String]) -> Vec<String> {
    let (before, after) = (ring(before), ring(after));
    ids.filter(|id| before.owner(id.as_bytes()) != after.owner(id.as_bytes())).collect()
}

fn ring(instances: &[String]) -> Ring {
    Ring::new(instances.iter().map(String::as_str), DEFAULT_VNODES).unwrap()
}

fn address(instance: &str) -> SocketAddr {
    instance.trim_start_matches("http://").parse().unwrap()
}

async fn live(
    id: String,
    mut instances: watch::Receiver<Vec<String>>,
    connections: Arc<Mutex<BTreeMap<String, Connection>>>,
) {
    loop {
        let owner = ring(&instances.borrow_and_update()).owner(id.as_bytes()).unwrap().to_owned();
        if let Some(device) = Device::try_connect(address(&owner), &id).await {
            {
                let mut connections = connections.lock();
                let connection = connections.entry(id.clone()).or_default();
                connection.instance = owner;
                connection.connects += 1;
            }
            device.ended().await;
            connections.lock().entry(id.clone()).or_default().instance.clear();
        }
        // It was refused, or its gateway is about to leave: it tries again a little later.
        _ = tokio::time::timeout(Duration::from_millis(50), instances.changed()).await;
    }
}

/// The status of an event that is sent to a device.
async fn send(gateway: SocketAddr, id: &str) -> u16 {
    try_send(gateway, id).await.expect("the gateway answers")
}

/// The same; none if the gateway does not answer.
async fn try_send(gateway: SocketAddr, id: &str) -> Option<u16> {
    let message = Message {
        msg_type: MessageType::SIMPLE_EVENT,
        source: "dns:test.example.com".into(),
        dest: format!("{id}/config").as_str().into(),
        ..Message::default()
    };
    let mut body = Vec::new();
    message.as_ref().encode_v3(&mut body);
    let head = format!(
        "POST /api/v2/device/send HTTP/1.1\r\nHost: t\r\nAuthorization: Basic dXNlcjpwYXNz\r\nContent-Type: application/msgpack\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    let mut client = Client::over(TcpStream::connect(gateway).await.ok()?);
    client.socket.write_all(&[head.as_bytes(), &body].concat()).await.ok()?;
    Some(client.next_response().await?.status)
}

/// Of three gateways, all of which know the fleet, the last one leaves and comes back: its devices move and no others, at a
/// rate of 50 a second, as the metrics say, and each is reached by the REST API of the gateway that discovery names: those that
/// stay by each request, also while others move. `service` is what is watched; `has_left` looks whether the last one is registered no longer.
pub(crate) async fn one_leaves_and_comes_back(
    places: &[Place; 3],
    configurations: &[String; 3],
    mut gateways: Vec<GatewayProcess>,
    service: &str,
    has_left: impl AsyncFn(),
) {
    let count = device_count();
    let (all, two) = (instances(places), instances(&places[..2]));
    let devices = Devices::connect(count, all.clone()).await;
    devices.reach_each().await;
    let before = devices.connects();
    let leavers = moving(before.keys().cloned(), &all, &two);
    let requests = devices.requests();

    devices.know(two.clone());
    let leaving = gateways.pop().unwrap();
    assert!(leaving.terminate().await.success());
    has_left().await;
    devices.settled(count).await;
    devices.reach_each().await;
    let after = devices.connects();
    let reconnected: Vec<String> = after.keys().filter(|id| after[*id] != before[*id]).cloned().collect();
    assert_eq!(reconnected, leavers);
    for gateway in &gateways {
        assert_eq!(moved(gateway, service).await, 0, "its devices stay");
    }

    gateways.push(places[2].start(&configurations[2]).await);
    knows(&gateways[2], service, 3).await;
    devices.know(all);
    devices.settled(count).await;
    devices.reach_each().await;
    eventually("the moves are counted", PATIENCE, async || {
        moved(&gateways[0], service).await + moved(&gateways[1], service).await == leavers.len()
    })
    .await;
    for gateway in &gateways[..2] {
        let milliseconds = gateway.metric("talaria_talaria_rehash_duration_ms", &[service]).await;
        let expected = moved(gateway, service).await as f64 * 20.0;
        assert!(
            (expected - 60.0..expected + 1000.0).contains(&milliseconds),
            "{milliseconds} ms, expected {expected}"
        );
    }
    let returned = devices.connects();
    let reconnected: Vec<String> =
        returned.keys().filter(|id| returned[*id] != after[*id]).cloned().collect();
    assert_eq!(reconnected, leavers);
    let reached = requests.end().await;
    assert_eq!(reached.events.len(), count, "{reached:?}");
    assert!(reached.events.values().all(|events| *events > 1), "{reached:?}");
    let stayed = reached.missed.iter().find(|id| !leavers.contains(id));
    assert_eq!(stayed, None, "a device that stays was not reached");
}

/// Waits until the gateway knows so many instances.
pub(crate) async fn knows(gateway: &GatewayProcess, service: &str, instances: usize) {
    eventually("the gateway knows the fleet", PATIENCE, async || {
        gateway.metric("talaria_talaria_sd_instance_count", &[service]).await as usize == instances
    })
    .await;
}

/// How many devices its latest rehash has moved.
async fn moved(gateway: &GatewayProcess, service: &str) -> usize {
    gateway.metric("talaria_talaria_rehash_disconnect_device", &[service]).await as usize
}

fn instances(places: &[Place]) -> Vec<String> {
    places.iter().map(Place::instance).collect()
}

#[expect(clippy::disallowed_methods, reason = "the variable is for the tests, not a setting")]
fn device_count() -> usize {
    std::env::var("TALARIA_FLEET_DEVICES").map_or(DEVICES, |count| count.parse().unwrap())
}
