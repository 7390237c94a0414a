//! Newcomers under the id of a device that has a token (contract §14.26).

use serde_json::json;
use talaria_protocol::claims::Claims;
use talaria_protocol::connect::ConnectError;
use talaria_protocol::session::Reason;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::client::frame;
use super::*;
use crate::device::NotAdmittedError;

/// A device without a token, or with one.
fn identity(has_token: bool) -> Identity {
    let claims = json!({"sub": "x"});
    let claims = has_token.then(|| Claims::new(claims.as_object().unwrap()));
    Identity { claims, ..Identity::new(ID.parse().unwrap(), session_id::random()) }
}

impl Gateway {
    fn connect_as(&self, identity: Identity) -> Result<(Client, Arc<Device>), Reason> {
        let (near, far) = tokio::io::duplex(4096);
        let id = identity.id.clone();
        let connected = self.manager.connect(near, Bytes::new(), identity);
        connected.map_err(|NotAdmittedError(reason)| reason)?;
        Ok((Client::new(far), self.manager.registry().get(&id).unwrap()))
    }

    /// A newcomer without a token that waits.
    fn newcomer(&self) -> JoinHandle<Result<(), ConnectError>> {
        let manager = Arc::clone(&self.manager);
        tokio::spawn(async move { manager.check_takeover(&identity(false)).await })
    }

    fn takeovers(&self, outcome: &str) -> String {
        self.metric(&format!("device_takeovers_total{{outcome=\"{outcome}\"}}"))
    }
}

/// Answers pings until it is dropped.
async fn answer_pings(mut client: Client) {
    while let Some(ping) = client.frame().await {
        client.send(&frame(0x8a, &ping.payload)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_device_with_a_token_that_answers_keeps_its_id() {
    let gateway = Gateway::new(Config::default());
    let (client, device) = gateway.connect_as(identity(true)).unwrap();
    tokio::spawn(answer_pings(client));
    let started = Instant::now();
    for _ in 0..3 {
        assert_eq!(gateway.newcomer().await.unwrap(), Err(ConnectError::Occupied));
    }
    assert!(started.elapsed() < seconds(5), "{:?}", started.elapsed());
    assert!(Arc::ptr_eq(&gateway.manager.registry().get(device.id()).unwrap(), &device));
    assert_eq!(gateway.takeovers("answered"), "3");
    assert_eq!(gateway.recorded().await, [Recorded::Online]);
}

#[tokio::test(start_paused = true)]
async fn a_device_that_is_dead_does_not_keep_its_own_newcomer_out() {
    let gateway = Gateway::new(Config::default());
    let (_client, old) = gateway.connect_as(identity(true)).unwrap();
    let started = Instant::now();
    assert_eq!(gateway.newcomer().await.unwrap(), Ok(()));
    assert!((seconds(5)..seconds(6)).contains(&started.elapsed()), "{:?}", started.elapsed());
    let (_client, new) = gateway.connect_as(identity(false)).unwrap();
    assert!(!Arc::ptr_eq(&old, &new));
    assert_eq!(gateway.takeovers("taken_over"), "1");
}

#[tokio::test(start_paused = true)]
async fn a_device_that_leaves_meanwhile_does_not_keep_the_newcomer_waiting() {
    let gateway = Gateway::new(Config::default());
    let (client, _old) = gateway.connect_as(identity(true)).unwrap();
    let newcomer = gateway.newcomer();
    settle().await;
    drop(client);
    let started = Instant::now();
    assert_eq!(newcomer.await.unwrap(), Ok(()));
    assert!(started.elapsed() < seconds(1), "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_newcomer_that_was_let_pass_does_not_displace_a_device_that_came_since() {
    let gateway = Gateway::new(Config::default());
    assert_eq!(gateway.newcomer().await.unwrap(), Ok(()));
    let (_client, device) = gateway.connect_as(identity(true)).unwrap();
    assert_eq!(gateway.connect_as(identity(false)).unwrap_err(), Reason::Duplicate);
    assert!(Arc::ptr_eq(&gateway.manager.registry().get(device.id()).unwrap(), &device));
    assert_eq!(gateway.takeovers("overtaken"), "1");
}

#[tokio::test(start_paused = true)]
async fn a_device_that_was_given_up_and_speaks_again_is_protected_again() {
    let gateway = Gateway::new(Config::default());
    let (mut client, _device) = gateway.connect_as(identity(true)).unwrap();
    assert_eq!(gateway.newcomer().await.unwrap(), Ok(()));
    client.send(&frame(0x8a, b"")).await;
    settle().await;
    assert_eq!(gateway.connect_as(identity(false)).unwrap_err(), Reason::Duplicate);
}

#[tokio::test(start_paused = true)]
async fn one_newcomer_waits_for_each_id_and_so_many_in_all() {
    let gateway = Gateway::new(Config { max_takeovers: 1, ..Config::default() });
    let (_client, _device) = gateway.connect_as(identity(true)).unwrap();
    let other = Identity { id: "uuid:b".parse().unwrap(), ..identity(true) };
    let (_other_client, _other) = gateway.connect_as(other.clone()).unwrap();
    let first = gateway.newcomer();
    sleep(seconds(1)).await;
    assert_eq!(gateway.newcomer().await.unwrap(), Err(ConnectError::Occupied));
    assert_eq!(gateway.takeovers("contested"), "1");
    let stranger = Identity { claims: None, ..other };
    assert_eq!(gateway.manager.check_takeover(&stranger).await, Err(ConnectError::Occupied));
    assert_eq!(gateway.takeovers("too_many"), "1");
    // A newcomer that goes away gives its place back.
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    assert_eq!(gateway.manager.check_takeover(&stranger).await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_device_with_a_token_displaces_at_once_and_so_do_devices_without() {
    let gateway = Gateway::new(Config::default());
    let (_first, _) = gateway.connect_as(identity(false)).unwrap();
    let started = Instant::now();
    for has_token in [false, true, true] {
        let newcomer = identity(has_token);
        assert_eq!(gateway.manager.check_takeover(&newcomer).await, Ok(()));
        assert!(gateway.connect_as(newcomer).is_ok());
    }
    assert_eq!(started.elapsed(), Duration::ZERO);
    assert_eq!(gateway.metric("duplicate_count"), "3");
}
