//! A fleet of gateways, each a process with an address of its own on the loopback network, and devices that connect to the
//! gateway that their hash names, as Petasos would send them there.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use talaria_protocol::discovery::{DEFAULT_VNODES, Ring};
use tokio::sync::watch;
use tokio::task::JoinSet;
use wrp::{Message, MessageType};

use super::device::Device;
use super::eventually;
use super::http::request;
use super::process::GatewayProcess;

/// Reached only by a test that fails.
const PATIENCE: Duration = Duration::from_secs(60);

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
        let Self { primary, health, control } = self;
        let servers = format!(
            "primary: {{address: '{primary}'}}\nhealth: {{address: '{health}'}}\nmetric: {{address: '127.0.0.1:0'}}\n\
             control: {{address: '{control}'}}\n"
        );
        GatewayProcess::start_at(&servers, sections).await
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
    request(gateway, [head.as_bytes(), &body].concat()).await.status
}
