//! The codecs against serde's, in one run and with the same event: `cargo bench -p wrp --bench comparison`
//!
//! serde reads into and writes from a struct of the same fields, as a program without this crate would have it. The candidates
//! take short turns, and the shortest turn of each counts: other work on the machine makes turns longer, never shorter.

#![expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark prints what it has measured, and stops at what it cannot measure"
)]

mod event;
#[path = "comparison/serde_message.rs"]
mod serde_message;

use std::hint::black_box;
use std::time::{Duration, Instant};

use serde_message::SerdeMessage;
use wrp::{Message, MessageRef, json};

const TURNS: u32 = 300;
/// Calls of one turn.
const CALLS: u32 = 200;

fn main() {
    let owned = event::event();
    let mut frame = Vec::new();
    owned.as_ref().encode_v3(&mut frame);
    let borrowed = MessageRef::decode_v3(&frame).unwrap();
    let theirs: SerdeMessage = rmp_serde::from_slice(&frame).unwrap();
    assert_eq!(rmp_serde::to_vec_named(&theirs).unwrap().len(), frame.len(), "the same bytes");
    let mut text = Vec::new();
    json::encode_v3(&owned.as_ref(), &mut text);
    assert_eq!(serde_json::to_vec(&theirs).unwrap().len(), text.len(), "the same bytes");

    println!("an event of {} bytes in msgpack and {} in JSON\n", frame.len(), text.len());
    println!("| | `wrp` | serde | ratio |\n|---|---|---|---|");
    row(
        "decode msgpack, borrowed",
        || _ = black_box(MessageRef::decode_v3(black_box(&frame)).unwrap()),
        || _ = black_box(rmp_serde::from_slice::<SerdeMessage>(black_box(&frame)).unwrap()),
    );
    row(
        "decode msgpack, owned",
        || _ = black_box(Message::decode(black_box(&frame)).unwrap()),
        || _ = black_box(rmp_serde::from_slice::<SerdeMessage>(black_box(&frame)).unwrap()),
    );
    let (mut ours, mut out) = (Vec::new(), Vec::new());
    let mut serde_msgpack = || {
        out.clear();
        rmp_serde::encode::write_named(&mut out, black_box(&theirs)).unwrap();
        black_box(&out);
    };
    row(
        "encode msgpack, borrowed",
        || {
            ours.clear();
            black_box(&borrowed).encode_v3(&mut ours);
            black_box(&ours);
        },
        &mut serde_msgpack,
    );
    row(
        "encode msgpack, owned",
        || {
            ours.clear();
            black_box(&owned).as_ref().encode_v3(&mut ours);
            black_box(&ours);
        },
        &mut serde_msgpack,
    );
    row(
        "decode JSON, owned",
        || _ = black_box(json::decode_v3(black_box(&text)).unwrap()),
        || _ = black_box(serde_json::from_slice::<SerdeMessage>(black_box(&text)).unwrap()),
    );
    row(
        "encode JSON",
        || {
            ours.clear();
            json::encode_v3(&black_box(&owned).as_ref(), &mut ours);
            black_box(&ours);
        },
        || {
            out.clear();
            serde_json::to_writer(&mut out, black_box(&theirs)).unwrap();
            black_box(&out);
        },
    );
    row(
        "copy a message: `to_owned`, `clone`",
        || _ = black_box(black_box(&borrowed).to_owned()),
        || _ = black_box(black_box(&theirs).clone()),
    );
}

fn row(name: &str, mut ours: impl FnMut(), mut serde: impl FnMut()) {
    let (mut our_best, mut serde_best) = (Duration::MAX, Duration::MAX);
    for _ in 0..TURNS {
        our_best = our_best.min(turn(&mut ours));
        serde_best = serde_best.min(turn(&mut serde));
    }
    let nanoseconds = |best: Duration| best.as_secs_f64() * 1e9 / f64::from(CALLS);
    let (ours, serde) = (nanoseconds(our_best), nanoseconds(serde_best));
    println!("| {name} | {ours:.0} ns | {serde:.0} ns | {:.1} |", serde / ours);
}

fn turn(work: &mut impl FnMut()) -> Duration {
    let begun = Instant::now();
    for _ in 0..CALLS {
        work();
    }
    begun.elapsed()
}
