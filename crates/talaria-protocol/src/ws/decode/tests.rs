//! Frames as clients send them, well-formed and not, cut anywhere.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const LIMITS: Limits = Limits { max_message: 100_000 };
const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A client's frame, as an oracle of its own: not with the server's writer.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    match payload.len() {
        short @ 0..126 => out.push(0x80 | short as u8),
        medium @ 126..0x1_0000 => {
            out.push(0x80 | 126);
            out.extend((medium as u16).to_be_bytes());
        }
        long => {
            out.push(0x80 | 127);
            out.extend((long as u64).to_be_bytes());
        }
    }
    out.extend(KEY);
    out.extend(payload.iter().zip(KEY.iter().cycle()).map(|(byte, key)| byte ^ key));
    out
}

/// An item that owns its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Owned {
    Binary(Vec<u8>),
    Text(usize),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<u16>),
}

impl From<Item<'_>> for Owned {
    fn from(item: Item<'_>) -> Self {
        match item {
            Item::Binary(payload) => Self::Binary(payload.to_vec()),
            Item::Text(length) => Self::Text(length),
            Item::Ping(payload) => Self::Ping(payload.to_vec()),
            Item::Pong(payload) => Self::Pong(payload.to_vec()),
            Item::Close(code) => Self::Close(code.map(|code| code.0)),
        }
    }
}

/// Feeds one read, and gives what came of it.
fn feed(decoder: &mut Decoder, bytes: &[u8]) -> Result<Vec<Owned>, FrameError> {
    let mut bytes = bytes.to_vec();
    let mut input = Input::new(&mut bytes);
    let mut items = Vec::new();
    while let Some(item) = decoder.next(&mut input)? {
        items.push(item.into());
    }
    assert!(input.rest().is_empty(), "the decoder stopped before the end");
    Ok(items)
}

fn decode(bytes: &[u8]) -> Result<Vec<Owned>, FrameError> {
    feed(&mut Decoder::new(LIMITS), bytes)
}

fn violation(bytes: &[u8]) -> String {
    decode(bytes).unwrap_err().to_string()
}

#[test]
fn a_message_in_pieces_is_handed_over_with_its_memory() {
    let payload: Vec<u8> = (0..50_000_u32).map(|n| n as u8).collect();
    let fragments = [frame(0x02, &payload[..20_000]), frame(0x80, &payload[20_000..])].concat();
    for stream in [frame(0x82, &payload), fragments] {
        let mut decoder = Decoder::new(LIMITS);
        let (mut start, mut end) = (stream[..stream.len() - 3].to_vec(), stream[stream.len() - 3..].to_vec());
        end.extend(frame(0x89, b"next"));
        assert!(decoder.next(&mut Input::new(&mut start)).unwrap().is_none());
        let mut input = Input::new(&mut end);
        assert_eq!(decoder.next(&mut input).unwrap(), Some(Item::Binary(&payload)));
        let taken = decoder.take_payload().unwrap();
        assert_eq!(&*taken, &payload);
        assert_eq!(decoder.kept(), 0);
        assert_eq!(decoder.next(&mut input).unwrap(), Some(Item::Ping(b"next")));
    }
}

#[test]
fn a_torn_frame_is_finished_by_the_next_read() {
    let bytes = frame(0x82, b"hello");
    let mut decoder = Decoder::new(LIMITS);
    assert_eq!(feed(&mut decoder, &bytes[..3]).unwrap(), []);
    assert!(decoder.kept() > 0);
    assert_eq!(feed(&mut decoder, &bytes[3..]).unwrap(), [Owned::Binary(b"hello".to_vec())]);
    assert_eq!(decoder.kept(), 0, "an idle decoder owns no memory");
}

#[test]
fn a_message_in_fragments_is_put_together_around_the_pings_between_them() {
    let bytes = [
        frame(0x02, b"one "),
        frame(0x89, b"?"),
        frame(0x00, b"two "),
        frame(0x8a, b"!"),
        frame(0x80, b"three"),
        frame(0x82, b"next"),
    ]
    .concat();
    let expected = [
        Owned::Ping(b"?".to_vec()),
        Owned::Pong(b"!".to_vec()),
        Owned::Binary(b"one two three".to_vec()),
        Owned::Binary(b"next".to_vec()),
    ];
    assert_eq!(decode(&bytes).unwrap(), expected);
}

#[test]
fn a_text_is_counted_and_not_kept() {
    let mut decoder = Decoder::new(LIMITS);
    assert_eq!(feed(&mut decoder, &frame(0x01, &[b'x'; 50_000])).unwrap(), []);
    assert_eq!(decoder.kept(), 0);
    let items = feed(&mut decoder, &[frame(0x80, b"end"), frame(0x81, b"")].concat()).unwrap();
    assert_eq!(items, [Owned::Text(50_003), Owned::Text(0)]);
}

#[test]
fn what_the_protocol_forbids_is_refused_with_the_reference_s_texts() {
    assert_eq!(violation(&[0x82, 0x05]), "bad MASK");
    assert_eq!(violation(&frame(0x83, b"")), "bad opcode 3");
    assert_eq!(violation(&frame(0xc2, b"")), "RSV1 set");
    assert_eq!(violation(&frame(0xa2, b"")), "RSV2 set");
    assert_eq!(violation(&frame(0x80, b"")), "continuation after FIN");
    assert_eq!(violation(&frame(0x89, &[0; 126])), "len > 125 for control");
    assert_eq!(violation(&frame(0x09, b"")), "FIN not set on control");
    assert_eq!(violation(&[frame(0x02, b""), frame(0x82, b"")].concat()), "data before FIN");
    assert_eq!(violation(&frame(0x88, &999_u16.to_be_bytes())), "bad close code 999");
    assert_eq!(violation(&frame(0x88, &1005_u16.to_be_bytes())), "bad close code 1005");
    assert_eq!(violation(&frame(0x88, &[3])), "bad close payload");
    assert_eq!(violation(&frame(0x88, b"\x03\xe8\xff")), "invalid utf8 payload in close frame");
    assert_eq!(violation(&[0xf3, 0x00]), "RSV1 set, RSV2 set, RSV3 set, bad opcode 3, bad MASK");
}

#[test]
fn a_close_tells_its_code() {
    assert_eq!(decode(&frame(0x88, b"\x03\xe9bye")).unwrap(), [Owned::Close(Some(1001))]);
    assert_eq!(decode(&frame(0x88, &4999_u16.to_be_bytes())).unwrap(), [Owned::Close(Some(4999))]);
    assert_eq!(decode(&frame(0x88, b"")).unwrap(), [Owned::Close(None)]);
}

#[test]
fn a_frame_over_the_limit_is_refused_by_its_header_alone() {
    let limits = Limits { max_message: 1000 };
    for header in [
        &[0x82, 0xfe, 0x03, 0xe9][..],
        &[0x82, 0xff, 0, 0, 0, 0, 0, 0, 0x03, 0xe9],
        &[0x82, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
    ] {
        let mut decoder = Decoder::new(limits);
        let refused = feed(&mut decoder, header).unwrap_err();
        assert_eq!(refused, FrameError::TooBig { limit: 1000 });
        assert_eq!(refused.close_code(), CloseCode::TOO_BIG);
    }
    let whole = frame(0x82, &[1; 1000]);
    assert_eq!(feed(&mut Decoder::new(limits), &whole).unwrap(), [Owned::Binary(vec![1; 1000])]);
}

#[test]
fn fragments_are_measured_together() {
    let limits = Limits { max_message: 1000 };
    for first in [0x02, 0x01] {
        let mut decoder = Decoder::new(limits);
        feed(&mut decoder, &frame(first, &[1; 600])).unwrap();
        assert_eq!(
            feed(&mut decoder, &frame(0x80, &[1; 401])[..8]).unwrap_err(),
            FrameError::TooBig { limit: 1000 }
        );
    }
}

#[test]
fn a_claimed_length_is_not_trusted_with_an_allocation() {
    let mut decoder = Decoder::new(Limits { max_message: 1 << 30 });
    let header = [0x82, 0xff, 0, 0, 0, 0, 0x20, 0, 0, 0, 1, 2, 3, 4, 5];
    assert_eq!(feed(&mut decoder, &header).unwrap(), []);
    assert!(decoder.kept() < 100, "kept {} bytes for 15", decoder.kept());
}

#[test]
fn small_limits_leave_room_for_control_frames() {
    let mut decoder = Decoder::new(Limits { max_message: 10 });
    let items = feed(&mut decoder, &frame(0x89, &[7; 125])).unwrap();
    assert_eq!(items, [Owned::Ping(vec![7; 125])]);
}

/// Frames of a well-behaved client, and what they say.
fn conversation() -> impl Strategy<Value = (Vec<u8>, Vec<Owned>)> {
    let payload =
        prop_oneof![vec(any::<u8>(), 0..20), vec(any::<u8>(), 120..130), vec(any::<u8>(), 65_530..65_540),];
    let control = (any::<bool>(), vec(any::<u8>(), 0..126));
    let fragment = (payload, proptest::option::of(control));
    let message = (any::<bool>(), vec(fragment, 1..4));
    vec(message, 0..5).prop_map(|messages| {
        let (mut bytes, mut items) = (Vec::new(), Vec::new());
        for (is_text, fragments) in messages {
            let mut whole = Vec::new();
            let last = fragments.len() - 1;
            if fragments.iter().map(|(payload, _)| payload.len()).sum::<usize>() > LIMITS.max_message {
                continue;
            }
            for (at, (payload, control)) in fragments.into_iter().enumerate() {
                let opcode = if at > 0 { 0 } else { 2 - u8::from(is_text) };
                bytes.extend(frame(opcode | if at == last { 0x80 } else { 0 }, &payload));
                whole.extend(payload);
                if let (Some((is_ping, payload)), true) = (control, at < last) {
                    bytes.extend(frame(0x8a - u8::from(is_ping), &payload));
                    items.push(if is_ping { Owned::Ping(payload) } else { Owned::Pong(payload) });
                }
            }
            items.push(if is_text { Owned::Text(whole.len()) } else { Owned::Binary(whole) });
        }
        (bytes, items)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn however_a_stream_is_cut_its_items_are_the_same(
        (bytes, expected) in conversation(),
        cuts in vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let mut decoder = Decoder::new(LIMITS);
        let mut items = Vec::new();
        for piece in cuts.windows(2) {
            items.extend(feed(&mut decoder, &bytes[piece[0]..piece[1]]).unwrap());
        }
        prop_assert_eq!(items, expected);
        prop_assert_eq!(decoder.kept(), 0);
    }

    #[test]
    fn a_stream_may_come_byte_by_byte((bytes, expected) in conversation()) {
        let bytes = &bytes[..bytes.len().min(3000)];
        let whole = decode(bytes).unwrap();
        prop_assert_eq!(&whole[..], &expected[..whole.len()]);
        let mut decoder = Decoder::new(LIMITS);
        let mut items = Vec::new();
        for byte in bytes {
            items.extend(feed(&mut decoder, &[*byte]).unwrap());
        }
        prop_assert_eq!(items, whole);
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_neither_panic_nor_cost_more_than_the_limits(
        reads in vec(vec(any::<u8>(), 0..300), 0..20),
        starts in vec(prop::sample::select(vec![0x01_u8, 0x02, 0x80, 0x82, 0x89, 0x8a, 0x88, 0xfe]), 20),
    ) {
        let limits = Limits { max_message: 500 };
        let mut decoder = Decoder::new(limits);
        for (mut read, start) in reads.into_iter().zip(starts) {
            // Plausible beginnings, or hardly any frame would get far.
            if let [first, second, ..] = &mut read[..] {
                *first = start;
                *second |= 0x80;
            }
            if feed(&mut decoder, &read).is_err() {
                break;
            }
            prop_assert!(decoder.kept() <= 2 * (limits.max_message + 14));
        }
    }
}
