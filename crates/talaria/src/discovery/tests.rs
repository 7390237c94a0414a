//! Who moves when a fleet changes, and how fast: devices without sockets, in paused time.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use talaria_protocol::connect::Identity;
use talaria_protocol::discovery::{DEFAULT_VNODES, Ring};
use talaria_protocol::session::CloseReason;
use tokio::io::DuplexStream;
use tokio::time::{Instant, sleep};
use wrp::MessageRef;

use super::*;
use crate::device::{self, Device, Dropped, Events, session_id};

const OWN: &str = "https://t1";
const DEVICES: usize = 1000;

/// The ids of the devices that went, with their reasons.
#[derive(Default)]
struct Gone(Mutex<BTreeMap<String, String>>);

impl Events for Gone {
    fn online(&self, _: &Arc<Device>) {}

    fn offline(&self, device: &Arc<Device>, reason: &CloseReason) {
        self.0.lock().insert(device.id().as_str().to_owned(), reason.to_string());
    }

    fn message(&self, _: &Arc<Device>, _: &mut MessageRef<'_>) {}

    fn dropped(&self, _: &Arc<Device>, _: &MessageRef<'_>, _: Dropped) {}
}

struct Fixture {
    discovery: Discovery,
    manager: Arc<Manager>,
    gone: Arc<Gone>,
    metrics: Metrics,
    clients: Vec<DuplexStream>,
}

impl Fixture {
    async fn of(config: Config) -> Self {
        let metrics = Metrics::default();
        let gone = Arc::<Gone>::default();
        let config_of_devices =
            device::Config { close_over: Duration::from_secs(10), ..device::Config::default() };
        let manager = Manager::new(config_of_devices, Arc::clone(&gone) as _, &metrics);
        let discovery = Discovery::new(&manager, Arc::default(), &metrics);
        discovery.apply(Some(config)).await;
        settle().await;
        let mut fixture = Self { discovery, manager, gone, metrics, clients: Vec::new() };
        (0..DEVICES).for_each(|number| fixture.connect(number));
        fixture
    }

    fn connect(&mut self, number: usize) {
        let (near, far) = tokio::io::duplex(64);
        let identity = Identity::new(id(number).parse().unwrap(), session_id::random());
        self.manager.connect(near, Bytes::new(), identity).unwrap();
        self.clients.push(far);
    }

    fn gone(&self) -> Vec<String> {
        self.gone.0.lock().keys().cloned().collect()
    }

    fn metric(&self, series: &str) -> i64 {
        let text = String::from_utf8(self.metrics.gather_text()).unwrap();
        let series = format!("talaria_talaria_{series} ");
        text.lines()
            .find_map(|line| line.strip_prefix(series.as_str()))
            .map_or(0, |value| value.parse().unwrap())
    }
}

fn id(number: usize) -> String {
    format!("mac:{number:012x}")
}

fn fixed(instances: &[&str]) -> Config {
    let instances = instances.iter().map(|instance| (*instance).to_owned()).collect();
    Config { own: vec![OWN.to_owned()], rate: 100, ..Config::new(Backend::Fixed(instances)) }
}

/// The devices that do not belong to this gateway.
fn elsewhere(instances: &[&str]) -> Vec<String> {
    let ring = Ring::new(instances.iter().copied(), DEFAULT_VNODES).unwrap();
    (0..DEVICES).map(id).filter(|id| ring.owner(id.as_bytes()) != Some(OWN)).collect()
}

/// Lets the tasks do what they can do at once.
async fn settle() {
    sleep(Duration::from_millis(1)).await;
}

#[tokio::test(start_paused = true)]
async fn those_that_belong_elsewhere_move_at_the_pace_and_no_others() {
    let both = [OWN, "https://t2"];
    let fixture = Fixture::of(fixed(&[OWN])).await;
    let moving = elsewhere(&both);
    let took = moving.len() as u64 * 10;
    fixture.discovery.apply(Some(fixed(&both))).await;
    let began = Instant::now();
    sleep(Duration::from_millis(took / 2)).await;
    let half = fixture.gone().len();
    assert!((moving.len() / 2 - 5..=moving.len() / 2 + 5).contains(&half), "{half} of {}", moving.len());
    while fixture.gone().len() < moving.len() {
        sleep(Duration::from_millis(10)).await;
    }
    let elapsed = began.elapsed().as_millis() as u64;
    assert!((took - 50..took + 50).contains(&elapsed), "{elapsed} ms, expected about {took}");
    sleep(Duration::from_secs(60)).await;
    assert_eq!(fixture.gone(), moving);
    assert!(fixture.gone.0.lock().values().all(|reason| reason == "*no error*:rehash-other-instance"));
    assert_eq!(fixture.metric(r#"rehash_disconnect_device{service="fixed"}"#), moving.len() as i64);
    assert_eq!(fixture.metric(r#"rehash_keep_device{service="fixed"}"#), (DEVICES - moving.len()) as i64);
    let duration = fixture.metric(r#"rehash_duration_ms{service="fixed"}"#) as u64;
    assert!((took - 50..took + 50).contains(&duration), "{duration}");
}

#[tokio::test(start_paused = true)]
async fn a_device_of_another_instance_is_refused_and_others_are_not() {
    let both = [OWN, "https://t2"];
    let fixture = Fixture::of(fixed(&both)).await;
    let refused: Vec<String> = (0..DEVICES)
        .map(id)
        .filter(|id| fixture.discovery.membership().check(&id.parse().unwrap()).is_err())
        .collect();
    assert_eq!(refused, elsewhere(&both));
    assert_eq!(fixture.metric("sd_refused_device_count"), refused.len() as i64);
    assert_eq!(fixture.gone(), [""; 0], "the first instances move no device");
    fixture.discovery.apply(Some(Config { refuses_devices: false, ..fixed(&both) })).await;
    assert!(
        (0..DEVICES).all(|number| fixture.discovery.membership().check(&id(number).parse().unwrap()).is_ok())
    );
}

#[tokio::test(start_paused = true)]
async fn a_change_in_the_middle_of_a_move_counts_for_those_whose_turn_has_not_come() {
    let fixture = Fixture::of(fixed(&[OWN])).await;
    fixture.discovery.apply(Some(fixed(&[OWN, "https://t2"]))).await;
    sleep(Duration::from_secs(1)).await;
    fixture.discovery.apply(Some(fixed(&[OWN]))).await;
    let gone = fixture.gone().len();
    assert!((90..=110).contains(&gone), "{gone}");
    sleep(Duration::from_secs(60)).await;
    assert!(fixture.gone().len() <= gone + 1);
}

#[tokio::test(start_paused = true)]
async fn no_instances_close_all_and_those_that_come_back_stay() {
    let mut fixture = Fixture::of(Config { rate: 0, ..fixed(&[OWN]) }).await;
    fixture.discovery.apply(Some(Config { rate: 0, ..fixed(&[]) })).await;
    sleep(Duration::from_secs(5)).await;
    let half = fixture.gone().len();
    assert!((DEVICES / 2 - 10..=DEVICES / 2 + 10).contains(&half), "{half} after half of closeOver");
    for number in 0..DEVICES {
        if fixture.gone().contains(&id(number)) {
            fixture.connect(number);
        }
    }
    sleep(Duration::from_secs(60)).await;
    assert_eq!(fixture.gone().len(), DEVICES);
    assert!(
        fixture.gone.0.lock().values().all(|reason| reason == "*no error*:service-discovery-no-instances")
    );
    assert_eq!(fixture.manager.registry().len(), half);
    let series = r#"rehash_disconnect_all_count{reason="sd_no_instances",service="fixed"}"#;
    assert_eq!(fixture.metric(series), 1);
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_stops_moves_nobody_any_more() {
    let fixture = Fixture::of(fixed(&[OWN])).await;
    fixture.discovery.apply(Some(fixed(&[OWN, "https://t2"]))).await;
    settle().await;
    fixture.discovery.stop(Duration::from_secs(1)).await;
    settle().await;
    let gone = fixture.gone().len();
    sleep(Duration::from_secs(60)).await;
    assert_eq!(fixture.gone().len(), gone);
}

#[tokio::test(start_paused = true)]
async fn without_discovery_every_device_belongs_here() {
    let fixture = Fixture::of(fixed(&["https://t2"])).await;
    assert_eq!(fixture.discovery.state(), State::Connected);
    fixture.discovery.apply(None).await;
    assert_eq!(fixture.discovery.state(), State::Off);
    assert!(fixture.discovery.membership().check(&id(1).parse().unwrap()).is_ok());
}
