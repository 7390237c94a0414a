//! Prints what the worst messages of a device cost: `cargo run --release --manifest-path fuzz/Cargo.toml --example
//! worst_messages [bytes]`, 4 MiB by default. `cost.rs` names what is promised.
//!
//! Not all of them are accepted: what is refused costs, too. The fastest of nine measurements counts.

use std::time::{Duration, Instant};

use talaria_fuzz::message::for_both_sinks;
use talaria_protocol::inbound::{SourceCheck, Stamps};
use wrp::DeviceId;

#[expect(clippy::disallowed_methods, reason = "it measures; there is no tokio here")]
fn main() {
    let length = std::env::args().nth(1).and_then(|length| length.parse().ok()).unwrap_or(4 << 20);
    let device: DeviceId = "mac:112233445566".parse().expect("a device id");
    let stamps = Stamps {
        device_id: &device,
        partner_ids: &["partner"],
        trust: "1000",
        account_id: "4711",
        session_id: "2ZzF0Zb8h5Q1",
        timestamp: "2026-11-24T04:00:00Z",
    };
    for (name, frame) in worst(length) {
        let measure = || {
            let start = Instant::now();
            let written = for_both_sinks(&frame, &stamps, SourceCheck::Enforce);
            (start.elapsed(), written)
        };
        let (taken, written) = (0..9).map(|_| measure()).min().unwrap_or_default();
        print(name, taken, frame.len(), written);
    }
}

fn print(name: &str, taken: Duration, length: usize, written: usize) {
    let per_byte = taken.as_secs_f64() * 1e9 / length as f64;
    println!("{name:24} {per_byte:6.2} ns a byte, {taken:?} for {length} bytes, {written} bytes written");
}

/// Messages of about this many bytes, by name, and some that are just within the limit on entries.
fn worst(length: usize) -> Vec<(&'static str, Vec<u8>)> {
    const WITHIN: usize = 4000;
    let repeated = |field: &str, header, unit: &[u8], most: usize| {
        let count = (length / unit.len()).min(most);
        with(field, header, count, &unit.repeat(count))
    };
    let keys = |count: usize| -> Vec<u8> { (0..count).flat_map(|n| [0xa1, n as u8, 0xa0]).collect() };
    let different = |count: usize| -> Vec<u8> {
        (0..count).flat_map(|n| [0xa3, (n >> 16) as u8, (n >> 8) as u8, n as u8, 0xa0]).collect()
    };
    let text = |field: &str, unit: &str| {
        let body = unit.repeat(length / unit.len());
        with(field, 0xdb, body.len(), body.as_bytes())
    };
    vec![
        ("keys of one byte", with("metadata", 0xdf, length / 3, &keys(length / 3))),
        ("4,000 keys of one byte", with("metadata", 0xdf, WITHIN, &keys(WITHIN))),
        ("different keys", with("metadata", 0xdf, length / 5, &different(length / 5))),
        ("4,000 different keys", with("metadata", 0xdf, WITHIN, &different(WITHIN))),
        ("empty headers", repeated("headers", 0xdd, b"\xa0", usize::MAX)),
        ("4,000 empty headers", repeated("headers", 0xdd, b"\xa0", WITHIN)),
        ("nil headers", repeated("headers", 0xdd, b"\xc0", usize::MAX)),
        ("spans of one text", repeated("spans", 0xdd, b"\x91\xa0", usize::MAX)),
        ("2,000 of them", repeated("spans", 0xdd, b"\x91\xa0", WITHIN / 2)),
        ("an unknown list", repeated("x", 0xdd, b"\xc0", usize::MAX)),
        ("deep unknown values", repeated("x", 0xdd, &[&[0x91; 1000][..], b"\xc0"].concat(), usize::MAX)),
        ("a long payload", with("payload", 0xc6, length, &vec![7; length])),
        ("a path of 60,000 bytes", with("path", 0xdb, 60_000, &"\u{fc}".repeat(30_000).into_bytes())),
        ("a long path", text("path", "\u{fc}")),
    ]
}

/// An event of qos 55, with a field that has this header and body.
fn with(field: &str, header: u8, count: usize, body: &[u8]) -> Vec<u8> {
    let mut frame = b"\x84\xa8msg_type\x04".to_vec();
    frame.push(0xa0 | field.len() as u8);
    frame.extend_from_slice(field.as_bytes());
    frame.push(header);
    frame.extend_from_slice(&(count as u32).to_be_bytes());
    frame.extend_from_slice(body);
    frame.extend_from_slice(b"\xa3qos\x37\xa6source\xb0mac:112233445566");
    frame
}
