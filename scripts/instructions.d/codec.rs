//! The gateway's work on the bytes of a message, again and again: `codec WORK TIMES`. `scripts/instructions` compiles this with rustc and
//! counts the instructions.

#[path = "../../crates/wrp/benches/event.rs"]
mod event;
#[path = "../../crates/wrp/benches/work.rs"]
mod work;

use std::hint::black_box;
use std::process::ExitCode;

use wrp::{MessageType, Qos};

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().unwrap_or_default();
    let Some(times) = arguments.next().and_then(|times| times.parse::<u32>().ok()) else {
        return ExitCode::from(64);
    };
    let mut message = event::event();
    message.transaction_uuid = "0f2c6a54-3b1f-4d52-9b5e-8a3b2c1d0e9f".into();
    message.qos = Qos(80);
    if name == "request" {
        message.msg_type = MessageType::SIMPLE_REQUEST_RESPONSE;
    }
    let (mut frame, mut first, mut second) = (Vec::new(), Vec::new(), Vec::new());
    message.as_ref().encode_v3(&mut frame);
    for _ in 0..times {
        let frame = black_box(&frame);
        match name.as_str() {
            "event" => work::both_sinks(frame, &mut first, &mut second),
            "ack" => work::acknowledge(frame, &mut first),
            "request" => work::pass_on(frame, &mut first),
            _ => return ExitCode::from(64),
        }
        black_box((&first, &second));
    }
    ExitCode::SUCCESS
}
