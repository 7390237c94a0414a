//! Messages and names through serde, in a format for humans and in one for programs.

use proptest::prelude::*;
use wrp::{DeviceId, Locator, Message, MessageType, Qos, Scheme, TextBuf, json};

use crate::properties::{message, utf8_message};

fn event() -> Message {
    Message::event("mac:112233445566", "event:iot")
        .with_payload("text/plain", *b"hello")
        .with_metadata("/b", "1")
        .with_metadata("/a", "2")
        .with_partner_ids(["comcast"])
        .with_qos(Qos(30))
}

#[test]
fn json_has_the_keys_of_v3_and_base64() {
    let expected = r#"{"msg_type":4,"source":"mac:112233445566","dest":"event:iot","content_type":"text/plain","metadata":{"/b":"1","/a":"2"},"payload":"aGVsbG8=","partner_ids":["comcast"],"qos":30}"#;
    assert_eq!(serde_json::to_string(&event()).unwrap(), expected);
    assert_eq!(serde_json::to_string(&event().as_ref()).unwrap(), expected);
    assert_eq!(json::decode_v3(expected.as_bytes()).unwrap(), event());
}

#[test]
fn unknown_keys_and_nulls_are_passed_over() {
    let text = r#"{"msg_type":4,"x":[{}],"source":null,"status":null,"metadata":{"a":"1","a":"2"}}"#;
    let message: Message = serde_json::from_str(text).unwrap();
    let expected = Message { msg_type: MessageType::SIMPLE_EVENT, ..Message::default() };
    assert_eq!(message, expected.with_metadata("a", "2"));
}

#[test]
fn msgpack_of_serde_is_wrp_msgpack_for_small_numbers() {
    let bytes = rmp_serde::to_vec(&event()).unwrap();
    assert_eq!(bytes, event().encode());
    assert_eq!(rmp_serde::from_slice::<Message>(&bytes).unwrap(), event());
}

#[test]
fn names_are_texts_and_are_checked() {
    let id: DeviceId = serde_json::from_str(r#""MAC:11:22:33:44:55:66""#).unwrap();
    assert_eq!(serde_json::to_string(&id).unwrap(), r#""mac:112233445566""#);
    assert_eq!(
        serde_json::from_str::<DeviceId>(r#""mac:1""#).unwrap_err().to_string(),
        "invalid device name: invalid MAC address length"
    );
    let locator: Locator<'static> = serde_json::from_str(r#""mac:112233445566/config""#).unwrap();
    assert_eq!((locator.scheme, &*locator.service), (Scheme::Mac, "config"));
    assert_eq!(serde_json::to_string(&locator).unwrap(), r#""mac:112233445566/config""#);
    assert_eq!(serde_json::from_str::<Scheme>(r#""Serial""#).unwrap(), Scheme::Serial);
    assert!(serde_json::from_str::<Scheme>(r#""https""#).is_err());
}

#[test]
fn a_text_that_is_not_utf8_stays_in_msgpack_and_is_repaired_in_json() {
    let message = Message { path: TextBuf::from(b"a\xff".to_vec()), ..Message::default() };
    let bytes = rmp_serde::to_vec(&message).unwrap();
    assert_eq!(rmp_serde::from_slice::<Message>(&bytes).unwrap(), message);
    let text = serde_json::to_string(&message).unwrap();
    assert_eq!(serde_json::from_str::<Message>(&text).unwrap().path, "a\u{fffd}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(50))]

    #[test]
    fn serde_gives_back_what_it_was_given(message in message()) {
        let bytes = rmp_serde::to_vec(&message).unwrap();
        prop_assert_eq!(rmp_serde::from_slice::<Message>(&bytes).unwrap(), message);
    }

    #[test]
    fn json_of_serde_gives_back_what_it_was_given(message in utf8_message()) {
        let text = serde_json::to_vec(&message).unwrap();
        prop_assert_eq!(serde_json::from_slice::<Message>(&text).unwrap(), message);
    }
}
