//! The devices' part of a stop (contract §2.20, §9.11).

use talaria_protocol::session::Reason;
use tokio::time::{Instant, sleep};
use wrp::QosLevel;

use super::client::binary;
use super::*;
use crate::device::{Ack, AckLimits, Acknowledged};

/// Connects this many devices.
fn fleet(gateway: &Gateway, size: usize) -> Vec<(Client, Arc<Device>)> {
    (0..size).map(|number| gateway.connect_id(&format!("serial:{number}"), 4096)).collect()
}

fn open(fleet: &[(Client, Arc<Device>)]) -> usize {
    fleet
        .iter()
        .filter(|(_, device)| device.outbox().close_reason().is_none() && !device.outbox().is_closed())
        .count()
}

/// contract §2.20
#[tokio::test(start_paused = true)]
async fn a_stop_closes_devices_one_after_the_other_and_serves_each_until_its_turn() {
    let gateway = Gateway::new(Config { close_over: seconds(4), ..Config::default() });
    let mut fleet = fleet(&gateway, 300);
    let manager = Arc::clone(&gateway.manager);
    let stop = tokio::spawn(async move { manager.close_spread(Instant::now() + seconds(20)).await });
    for (second, expected) in [(1, 200), (2, 100)] {
        sleep(seconds(1)).await;
        settle().await;
        let open = open(&fleet);
        // Devices wait two looks of 20 ms until they are closed.
        assert!((expected..expected + 10).contains(&open), "{open} are open after {second} s");
    }
    let (client, _) = fleet.iter_mut().find(|(_, device)| !device.outbox().is_closed()).unwrap();
    gateway.recorded().await;
    client.send(&binary(&event("event:iot/x"))).await;
    let recorded = gateway.recorded().await;
    assert!(matches!(recorded[..], [Recorded::Message(_)]), "{recorded:?}");
    let late = gateway.manager.connect(tokio::io::duplex(16).0, Bytes::new(), identity("serial:late"));
    assert_eq!(late.unwrap_err().0, Reason::Drained);
    sleep(seconds(2)).await;
    stop.await.unwrap();
    assert_eq!(open(&fleet), 0);
}

/// contract §9.11
#[tokio::test(start_paused = true)]
async fn a_device_is_closed_only_after_its_acknowledgements_and_left_at_the_deadline() {
    let gateway = Gateway::new(Config { close_over: Duration::ZERO, ..Config::default() });
    let (mut client, device) = gateway.connect_id("serial:acknowledged", 4096);
    let (_silent, owed) = gateway.connect_id("serial:owed", 4096);
    let limits = AckLimits::new(10, 1 << 20);
    let mut slot = device.take_ack_slot(&limits, 100).unwrap();
    let _never = owed.take_ack_slot(&limits, 100).unwrap();
    let started = Instant::now();
    let outcome = async {
        sleep(seconds(3)).await;
        let of = Acknowledged { level: QosLevel::High, since: started, trace: None };
        slot.send(Ack { frame: vec![7; 100].into(), of }).unwrap();
        client.expect(0x82, [7; 100]).await;
        client.expect_close(1001, "drained").await;
    };
    tokio::join!(gateway.manager.close_spread(started + seconds(10)), outcome);
    assert_eq!(started.elapsed(), seconds(10));
    assert!(!owed.outbox().is_closed(), "the next steps of the stop wait for it");
}
