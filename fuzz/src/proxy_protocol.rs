//! The header of a proxy at the beginning of a connection: any bytes, as they arrive one by one and all at once.
//!
//! The oracle is written from the specification again, for the part that decides where the client's bytes begin.

use talaria_protocol::proxy_protocol::{MAX_LENGTH, Progress, parse};

use crate::allocation;
use crate::cost::Cost;

/// The bytes behind which nothing changes any more, so that a long input costs no more.
const ENOUGH: usize = 300;

static HEADER: Cost = Cost::measured("proxy header", 100);

/// One input.
pub fn run(data: &[u8]) {
    let (whole, peak) = HEADER.hold(data.len(), || allocation::peak(|| parse(data)));
    assert_eq!(peak, 0, "the parser keeps nothing");
    let verdicts = (0..=data.len().min(ENOUGH)).map(|end| parse(&data[..end]));
    if let Some(first) = verdicts.into_iter().find(|verdict| *verdict != Ok(Progress::Incomplete)) {
        assert_eq!(first, whole, "more bytes change the verdict");
    }
    match whole {
        Ok(Progress::Complete(header)) => {
            assert_eq!(Some(header.length), length(data), "it ends elsewhere");
            assert_eq!(parse(&data[..header.length]), whole, "what is behind the header counts");
            assert_eq!(parse(&data[..header.length - 1]), Ok(Progress::Incomplete));
        }
        Ok(Progress::Incomplete) => assert!(data.len() < MAX_LENGTH, "a header without end"),
        Err(_) => {}
    }
}

/// Where a header ends, if it is one.
fn length(data: &[u8]) -> Option<usize> {
    if data.starts_with(b"PROXY ") {
        return Some(data.iter().zip(&data[1..]).position(|pair| pair == (&b'\r', &b'\n'))? + 2);
    }
    let length = data.strip_prefix(b"\r\n\r\n\0\r\nQUIT\n")?.get(2..4)?;
    Some(16 + usize::from(length[0]) * 256 + usize::from(length[1]))
}
