//! Messages that are so long that they are handled away from the threads that serve connections.

use talaria_protocol::session::Reason;
use wrp::TextBuf;

use super::client::binary;
use super::*;

/// An event with a long payload.
fn long_event(dest: &str) -> Vec<u8> {
    encoded(&Message {
        msg_type: MessageType::SIMPLE_EVENT,
        source: ID.into(),
        dest: dest.into(),
        payload: Some(vec![7; LONG]),
        ..Message::default()
    })
}

fn dests(recorded: &[Recorded]) -> Vec<TextBuf> {
    let dest = |recorded: &Recorded| match recorded {
        Recorded::Message(message) => message.dest.clone(),
        other => format!("{other:?}").into(),
    };
    recorded.iter().map(dest).collect()
}

impl Gateway {
    /// Long messages are being handled until what is returned is dropped.
    fn hold_long_messages(&self) -> mpsc::Sender<()> {
        let (hold, held) = mpsc::channel();
        *self.events.long.lock() = Some(held);
        hold
    }
}

#[tokio::test(start_paused = true)]
async fn only_the_device_of_a_long_message_waits_for_it() {
    let gateway = Gateway::new(Config::default());
    let (mut client, _) = gateway.connect(1 << 20);
    let hold = gateway.hold_long_messages();
    client.send(&[binary(&long_event("event:long")), binary(&event("event:next"))].concat()).await;
    client.send(&binary(&event("event:last"))).await;

    let (near, far) = tokio::io::duplex(4096);
    let other = Identity::new("serial:other".parse().unwrap(), session_id::random());
    gateway.manager.connect(near, Bytes::new(), other).unwrap();
    let mut other = Client::new(far);
    other.send(&binary(&event("event:other"))).await;
    let recorded = gateway.recorded().await;
    assert_eq!(dests(&recorded), ["Online", "Online", "event:other"].map(TextBuf::from));

    drop(hold);
    let recorded = gateway.record(3).await;
    assert_eq!(dests(&recorded), ["event:long", "event:next", "event:last"].map(TextBuf::from));
}

#[tokio::test(start_paused = true)]
async fn a_session_that_ends_waits_for_its_long_message() {
    let gateway = Gateway::new(Config::default());
    let (mut client, device) = gateway.connect(1 << 20);
    let hold = gateway.hold_long_messages();
    client.send(&[binary(&long_event("event:long")), binary(&event("event:next"))].concat()).await;
    assert_eq!(gateway.recorded().await, [Recorded::Online]);
    device.close(Reason::Drained.into());
    assert_eq!(gateway.recorded().await, []);

    drop(hold);
    let recorded = gateway.record(2).await;
    let [Recorded::Message(message), Recorded::Offline(reason)] = &recorded[..] else {
        panic!("{:?}", dests(&recorded))
    };
    assert_eq!(message.dest, "event:long");
    assert_eq!(reason, "*no error*:drained");
}

#[tokio::test(start_paused = true)]
async fn the_memory_of_a_long_message_is_given_back() {
    let gateway = Gateway::new(Config { max_unfinished_bytes: 3 * LONG, ..Config::default() });
    let (mut client, _) = gateway.connect(1 << 20);
    for _ in 0..8 {
        client.send(&binary(&long_event("event:long"))).await;
        gateway.record(1).await;
    }
}
