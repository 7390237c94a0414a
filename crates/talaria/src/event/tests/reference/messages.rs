//! What becomes of a device's message: `device_message.json` (from the dispatcher on), `ack.json`.

use talaria_protocol::inbound;
use vectors::same;
use wrpkafka::Publisher;
use wrpkafka::mock::MockKafka;

use super::*;
use crate::device::{Events as _, clock};
use crate::event::verdict::Verdict;

#[tokio::test]
async fn vectors_device_message() {
    device_messages("device_message.json", |case| Sent {
        frame: vectors::hex(case["hex"].as_str().unwrap_or_default()),
        check: SourceCheck::from_type(case["source_check"].as_str().unwrap_or_default()),
        http: case["result"]["http"].clone(),
        kafka: case["result"]["kafka"].clone(),
        ack: None,
        is_acked: case["result"]["ack"] == true,
        goes_on: !case["result"].is_null(),
    })
    .await;
}

#[tokio::test]
async fn vectors_ack() {
    device_messages("ack.json", |case| {
        let mut frame = Vec::new();
        vectors::message(&case["message"]).as_ref().encode_v3(&mut frame);
        Sent {
            frame,
            check: SourceCheck::Monitor,
            http: Value::Null,
            kafka: Value::Null,
            ack: Some(case["ack"].clone()),
            is_acked: !case["ack"].is_null(),
            goes_on: true,
        }
    })
    .await;
}

/// What a device sends, and what is to come of it.
struct Sent {
    frame: Vec<u8>,
    check: SourceCheck,
    http: Value,
    kafka: Value,
    /// None where the vectors say only whether there is one.
    ack: Option<Value>,
    is_acked: bool,
    goes_on: bool,
}

async fn device_messages(file: &str, read: impl Fn(&Value) -> Sent) {
    let cases = vectors::cases(file);
    vectors::announce(file, &cases);
    let (receiver, kafka) = (Receiver::answering(Answer::Status(202)), MockKafka::start(1).unwrap());
    let with_kafka = Gateway::start(&config(), publisher(&kafka), &receiver);
    let without = Gateway::start(&config(), Publisher::disabled(), &receiver);
    let (mut failures, mut records) = (Vec::new(), Vec::new());
    for case in &cases {
        let has_kafka = case.value["kafka"] == true;
        let gateway = if has_kafka { &with_kafka } else { &without };
        let device = device(case.value["device_name"].as_str().unwrap(), &case.value["claims"]);
        let sent = read(&case.value);
        if let Err(failure) = device_message(gateway, has_kafka, &device, &sent, &receiver).await {
            failures.push(format!("{}: {failure}", case.name));
        }
        if !sent.kafka.is_null() {
            records.push((case.name.clone(), device, sent));
        }
    }
    if file == "device_message.json" {
        let mut published = kafka.records("wrp-events", records.len() + 1, PATIENCE / 4).unwrap();
        published.sort_by_key(|record| record.offset);
        assert_eq!(published.len(), records.len(), "as many records as there should be");
        for ((name, device, sent), record) in records.into_iter().zip(published) {
            let expected = with_own_metadata(vectors::message(&sent.kafka), sent.check, &device);
            if let Err(failure) = is_same_record(expected, &record.value, &device) {
                failures.push(format!("{name}: {failure}"));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Reading does not tell what is there but empty from what is absent; the length of the record does.
fn is_same_record(mut expected: Message, record: &[u8], device: &Device) -> Result<(), String> {
    let got = MessageRef::decode_v5(record).unwrap().0.to_owned();
    if let (Some(there), Some(real)) = (&mut expected.metadata, &got.metadata) {
        there.insert("/xmidt-timestamp", real.get("/xmidt-timestamp").unwrap());
    }
    if expected.session_id == "<session>" {
        expected.session_id = device.session_id().into();
    }
    let mut encoded = Vec::new();
    expected.as_ref().encode_v5(&mut encoded);
    let expected = MessageRef::decode_v5(&encoded).unwrap().0.to_owned();
    same("kafka", &(encoded.len(), expected), &(record.len(), got))
}

async fn device_message(
    gateway: &Gateway,
    has_kafka: bool,
    device: &Arc<Device>,
    sent: &Sent,
    receiver: &Receiver,
) -> Result<(), String> {
    let (stamp, partner_ids) = (clock::now(), [device.partner_id()]);
    let stamps = inbound::Stamps {
        device_id: device.id(),
        partner_ids: &partner_ids,
        trust: device.trust_text(),
        account_id: device.account_id(),
        session_id: device.session_id(),
        timestamp: stamp.as_str(),
    };
    let mut accepted = match inbound::read(&sent.frame, &stamps, sent.check, &wrp::Limits::default()) {
        Ok(accepted) => accepted,
        Err(refused) if sent.goes_on => return Err(format!("refused: {refused}")),
        Err(_) => return Ok(()),
    };
    if !sent.goes_on {
        return Err("not refused".to_owned());
    }
    let before = receiver.requests().len();
    gateway.dispatcher.message(device, &mut accepted.message);
    let ack = if sent.is_acked { Some(sent_to(device).await) } else { None };
    if let Some(expected) = sent.http["url"].as_str().filter(|url| address(url).is_some()) {
        eventually("a request", || (receiver.requests().len() > before).then_some(())).await;
        let got = receiver.requests()[before].clone();
        let credentials = Credentials::for_dest(&accepted.message.dest.to_string());
        if !is_same_request(&json!({"url": expected}), &got, credentials) {
            return Err(format!("expected {expected}, got {got:?}"));
        }
        let got = masked(MessageRef::decode_v3(&got.body).unwrap().to_owned(), device);
        let expected = with_own_metadata(vectors::message(&sent.http["message"]), sent.check, device);
        same("http", &expected, &got)?;
    }
    if let (Some(got), Some(expected)) = (&ack, &sent.ack) {
        same("ack", &ours(expected, &accepted.message, has_kafka), &masked(got.clone(), device))?;
    }
    match device.take_frame() {
        Some(_) => Err("one acknowledgement too many".to_owned()),
        None => Ok(()),
    }
}

/// The acknowledgement as contract §14.11, §5.2 and §15 want it.
fn ours(expected: &Value, message: &MessageRef<'_>, has_kafka: bool) -> Message {
    let mut ack = vectors::message(expected);
    ack.source = "dns:talaria.example.com".into();
    // What is added for Kafka stays out of it.
    if let Some(metadata) = &mut ack.metadata {
        for key in ["/account-id", "/hw-deviceid"] {
            match message.metadata(key) {
                Some(own) => metadata.insert(key, own),
                None => drop(metadata.remove(key)),
            }
        }
    }
    // The reference says 0 whatever became of the message.
    let locator = message.dest.to_str().ok().and_then(|dest| Locator::parse_v3(dest).ok());
    let verdict = match locator.as_ref().map(|locator| locator.scheme) {
        _ if message.dest.is_empty() => Verdict::MissingDest,
        Some(Scheme::Event) if has_kafka => Verdict::Delivered,
        _ => match locator
            .map(|locator| urls(&Routes::new(&config()), &message.dest.to_string()).pop().ok_or(locator))
        {
            Some(Ok(url)) if address(&url).is_some() => Verdict::Delivered,
            Some(Ok(_)) => Verdict::ReceiverUnreachable,
            _ => Verdict::NoRoute,
        },
    };
    ack.rdr = Some(verdict.rdr().0);
    ack
}
