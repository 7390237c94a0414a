//! What is accepted, stamped and refused of a device's message.

use super::*;

fn stamps(device_id: &DeviceId) -> Stamps<'_> {
    Stamps {
        device_id,
        partner_ids: &["p"],
        trust: "1000",
        account_id: "acc",
        session_id: "s",
        timestamp: "t",
    }
}

#[test]
fn an_oversized_message_is_acknowledged_by_its_head() {
    let id: DeviceId = "serial:1".parse().unwrap();
    let message = wrp::Message {
        msg_type: MessageType::SIMPLE_EVENT,
        source: "serial:1/config".into(),
        transaction_uuid: "u".into(),
        headers: Some(vec![""; 5000].into()),
        payload: Some(vec![7]),
        qos: wrp::Qos(30),
        ..wrp::Message::default()
    };
    let frame = |message: &wrp::Message| {
        let mut frame = Vec::new();
        message.as_ref().encode_v3(&mut frame);
        frame
    };
    let bytes = frame(&message);
    let (check, limits) = (SourceCheck::Enforce, Limits::default());
    let refused = read(&bytes, &stamps(&id), check, &limits).unwrap_err();
    assert!(refused.is_limit());
    assert_eq!(refused.label(), "too_many_entries");
    let head = read_oversized(&bytes, &stamps(&id), check, &limits).unwrap();
    assert_eq!(
        (head.source, head.transaction_uuid, head.qos),
        ("serial:1/config".into(), "u".into(), message.qos)
    );
    assert_eq!((head.payload, head.headers.is_none(), head.session_id), (None, true, "s".into()));

    let unacknowledged = [
        wrp::Message { qos: wrp::Qos(0), ..message.clone() },
        wrp::Message { source: "serial:2".into(), ..message.clone() },
    ];
    for other in unacknowledged {
        assert!(read_oversized(&frame(&other), &stamps(&id), check, &limits).is_none());
    }
    let long = wrp::Message { transaction_uuid: "x".repeat(257).as_str().into(), ..message };
    let bytes = frame(&long);
    let head = read_oversized(&bytes, &stamps(&id), check, &limits).unwrap();
    assert_eq!(head.transaction_uuid, "");
}

#[test]
fn a_source_that_only_begins_like_the_device_is_another() {
    let id: DeviceId = "serial:1".parse().unwrap();
    for (source, reason) in [
        ("serial:1", "id_match"),
        ("serial:1/config", "id_match"),
        ("SERIAL:1", "id_match"),
        ("serial:12", "id_mismatch"),
        ("  ", "empty"),
        ("self:/x", "parse_error"),
    ] {
        let verdict = check_source(Text::from(source), &id, SourceCheck::Monitor);
        assert_eq!(verdict.reason(), reason, "{source}");
        assert_eq!(verdict.outcome(), "accepted");
    }
}

#[test]
fn under_enforce_a_status_event_names_this_device_or_none() {
    let id: DeviceId = "mac:112233445566".parse().unwrap();
    for (dest, is_refused) in [
        ("event:device-status/mac:112233445566/online", false),
        ("event:device-status/MAC:11:22:33:44:55:66/online", false),
        ("event:device-status/mac:11-22-33-44-55-66", false),
        ("event:device-status", false),
        ("event:iot/mac:aabbccddeeff", false),
        ("dns:host/device-status/mac:aabbccddeeff", false),
        ("mac:aabbccddeeff/device-status/mac:aabbccddeeff", false),
        ("event:wifi-device-status/summary", false),
        ("event:é-status/mac:aabbccddeeff", false),
        ("event:device-status/mac:aabbccddeeff/offline", true),
        ("EVENT:Device-Status/MAC:AA-BB-CC-DD-EE-FF/offline", true),
        ("event: device-status /mac:aabbccddeeff", true),
        ("event:device-status/ mac:aa:bb:cc:dd:ee:ff /x", true),
        ("event:device-status/uuid:112233445566/offline", true),
        ("event:device-status/nonsense/offline", true),
        ("event:device-status/", true),
        ("event:device-status//mac:aabbccddeeff", true),
        ("event:x/device-status/mac:aabbccddeeff/offline", true),
        ("event:x-device-status/mac:aabbccddeeff/offline", true),
        ("event:device-status/mac:112233445566/device-status/mac:aabbccddeeff/offline", true),
    ] {
        assert_eq!(is_status_of_another(Text::from(dest), &id), is_refused, "{dest}");
    }
}

#[test]
fn under_enforce_what_metadata_says_about_the_device_is_the_connection_s() {
    let id: DeviceId = "mac:112233445566".parse().unwrap();
    let stamps = Stamps {
        device_id: &id,
        partner_ids: &["comcast"],
        trust: "1000",
        account_id: "acc",
        session_id: "s",
        timestamp: "t",
    };
    let names = ["hw-deviceid", "trust", "account-id", "partner-id"];
    let forged = names.map(|name| [(format!("/{name}"), "forged"), (name.to_owned(), "forged")]);
    let mut message = wrp::Message {
        msg_type: MessageType::SIMPLE_EVENT,
        source: "mac:112233445566".into(),
        dest: "event:iot".into(),
        metadata: Some(forged.into_iter().flatten().collect()),
        ..wrp::Message::default()
    };
    let read = |message: &wrp::Message, check| {
        let mut frame = Vec::new();
        message.as_ref().encode_v3(&mut frame);
        read(&frame, &stamps, check, &Limits::default()).map(|accepted| accepted.message.to_owned()).unwrap()
    };
    let values = |message: &wrp::Message| {
        let metadata = message.metadata.clone().unwrap();
        names.map(|name| {
            [format!("/{name}"), name.to_owned()].map(|key| metadata.get(&key).unwrap().to_string())
        })
    };
    let own = ["mac:112233445566", "1000", "acc", "comcast"].map(|own| [own, own].map(str::to_owned));
    assert_eq!(values(&read(&message, SourceCheck::Enforce)), own);
    assert_eq!(
        values(&read(&message, SourceCheck::Monitor)),
        own.map(|_| ["forged", "forged"].map(str::to_owned))
    );
    message.metadata = None;
    assert_eq!(
        read(&message, SourceCheck::Enforce).metadata.unwrap().len(),
        1,
        "only the time stamp is added"
    );
}
