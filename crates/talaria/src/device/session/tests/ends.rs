//! Sessions that wait for their turn to be disconnected (contract §2.20).

use tokio::time::{Instant, sleep};

use super::*;
use crate::device::SendError;

const OFFLINE: &str = "*no error*:readerror";

impl Gateway {
    /// No session may end for a while.
    fn without_time_for_ends() -> Self {
        let gateway = Self::new(Config::default());
        gateway.manager.context.ends.use_up(seconds(10));
        gateway
    }

    /// Connects a device that leaves and waits for its turn.
    async fn leaving(&self) -> Arc<Device> {
        let (client, device) = self.connect(4096);
        drop(client);
        assert_eq!(self.recorded().await, [Recorded::Online]);
        assert_eq!(self.metric("disconnects_waiting"), "1");
        device
    }
}

#[tokio::test(start_paused = true)]
async fn a_device_whose_session_has_ended_is_not_found_and_fails_what_waits_for_it() {
    let gateway = Gateway::without_time_for_ends();
    let (client, device) = gateway.connect(64);
    let sending = tokio::spawn({
        let device = Arc::clone(&device);
        async move { device.send(Bytes::from_static(&[0; 1000]), Instant::now() + seconds(60)).await }
    });
    let requesting = tokio::spawn({
        let device = Arc::clone(&device);
        async move { device.request("uuid", Bytes::from_static(&[0; 1000]), Instant::now() + seconds(60)).await }
    });
    settle().await;
    drop(client);
    settle().await;
    assert_eq!(sending.await.unwrap(), Err(SendError::Closed));
    assert_eq!(requesting.await.unwrap(), Err(SendError::Closed));
    assert_eq!(device.try_send(Bytes::new()), Err(SendError::Closed));
    let registry = gateway.manager.registry();
    assert!(registry.get(device.id()).is_none());
    assert!((0..registry.shard_count()).all(|shard| registry.shard_ids(shard).is_empty()));
    assert_eq!(gateway.recorded().await, [Recorded::Online]);
    // A quarter of a core at least.
    sleep(seconds(60)).await;
    assert_eq!(gateway.recorded().await, [Recorded::Offline(OFFLINE.to_owned())]);
    assert!(registry.is_empty());
    assert_eq!(gateway.metric("disconnects_waiting"), "0");
}

#[tokio::test(start_paused = true)]
async fn a_device_that_returns_does_not_wait_and_goes_offline_before_it_is_online() {
    let gateway = Gateway::without_time_for_ends();
    gateway.leaving().await;
    let (_client, returned) = gateway.connect(4096);
    let recorded = gateway.recorded().await;
    assert_eq!(recorded, [Recorded::Offline(OFFLINE.to_owned()), Recorded::Online]);
    sleep(seconds(60)).await;
    assert_eq!(gateway.recorded().await, []);
    assert!(gateway.manager.registry().get(returned.id()).is_some());
    assert_eq!(gateway.metric("device_count"), "1");
}

#[tokio::test(start_paused = true)]
async fn a_stop_does_not_wait_for_the_turns_of_sessions_that_have_ended() {
    let gateway = Gateway::without_time_for_ends();
    gateway.leaving().await;
    gateway.manager.stop_admitting();
    assert_eq!(gateway.recorded().await, [Recorded::Offline(OFFLINE.to_owned())]);
    assert_eq!(gateway.manager.shutdown(seconds(1)).await, 0);
}
