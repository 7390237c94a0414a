//! What comes from ZooKeeper: any bytes as frames, cut anywhere, and as answers of each kind.
//!
//! The input: what it is (one byte), and then a stream of frames; or the content of one frame; or names, one a line, that are
//! put into an answer and must come out again.

use talaria_protocol::discovery::zookeeper::{
    ConnectReply, Frame, LONGEST_FRAME, Reply, ZooKeeperError, next_frame,
};

use crate::allocation;
use crate::cost::Cost;

/// A stream of up to so many bytes is also looked at byte by byte.
const SHORT: usize = 400;

/// A number, a change and no error: what stands before the content of a good answer.
const HEADER: [u8; 16] = [0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0];

static STREAM: Cost = Cost::measured("stream", 25);
static FRAME: Cost = Cost::measured("frame", 25);
static CONTENT: Cost = Cost::measured("content", 60);

/// One input.
pub fn run(data: &[u8]) {
    let [kind, data @ ..] = data else { return };
    match kind % 3 {
        0 => stream(data),
        1 => frame(data),
        _ => written(data),
    }
}

/// Takes one frame after the other off a stream.
fn stream(data: &[u8]) {
    let (_, peak) = STREAM.hold(data.len(), || {
        allocation::peak(|| {
            let mut rest = data;
            while let Ok(Some((frame, taken))) = next_frame(rest) {
                assert_eq!(taken, frame.len() + 4);
                rest = &rest[taken..];
            }
        })
    });
    assert_eq!(peak, 0, "nothing is allocated for a length that the bytes only claim");
    let whole = next_frame(data);
    let verdicts = (0..data.len().min(SHORT)).map(|end| next_frame(&data[..end]));
    if let Some(first) = verdicts.into_iter().find(|verdict| *verdict != Ok(None)) {
        assert_eq!(first, whole, "more bytes change the verdict");
    }
    match whole {
        Ok(Some((content, _))) => frame(content),
        Ok(None) => assert!(data.len() < LONGEST_FRAME + 4),
        Err(error) => assert_eq!(error, ZooKeeperError::Malformed),
    }
}

/// Reads the content of a frame as everything that it may be.
fn frame(data: &[u8]) {
    let (read, peak) = FRAME.hold(data.len(), || allocation::peak(|| Frame::read(data)));
    assert!(peak <= 2 * data.len() + 64, "{peak} bytes for a frame of {}", data.len());
    let (connected, peak) = FRAME.hold(data.len(), || allocation::peak(|| ConnectReply::read(data)));
    assert!(peak <= 2 * data.len() + 64, "{peak} bytes for a frame of {}", data.len());
    if let Ok(ConnectReply::Open { session, timeout_ms }) = connected {
        assert!(session.id != 0 && timeout_ms > 0);
    }
    match read {
        Ok(Frame::Reply { result: Ok(reply), .. }) => content(&reply, data.len()),
        Ok(Frame::Reply { result: Err(error), .. }) => assert_ne!(error, ZooKeeperError::Malformed),
        Ok(Frame::Event(event)) => assert!(event.path.len() <= data.len()),
        Err(error) => assert_eq!(error, ZooKeeperError::Malformed),
    }
}

fn content(reply: &Reply, length: usize) {
    let (children, peak) = CONTENT.hold(length, || allocation::peak(|| reply.children()));
    // A name takes four bytes at least, and here three words in a list that is copied when it grows by doubling.
    assert!(peak <= 24 * length + 256, "{peak} bytes for an answer of {length}");
    if let Ok(children) = children {
        assert!(children.iter().map(|name| name.len() + 4).sum::<usize>() <= length);
    }
    assert!(reply.path().is_ok_and(|path| path.len() <= length) || reply.path().is_err());
    assert!(reply.data().is_ok_and(|data| data.len() <= length) || reply.data().is_err());
    let _ = reply.owner();
}

/// Puts each line into a list of children, and reads them again.
fn written(lines: &[u8]) {
    let names: Vec<&str> =
        lines.split(|byte| *byte == b'\n').filter_map(|line| std::str::from_utf8(line).ok()).collect();
    let mut answer = HEADER.to_vec();
    answer.extend((names.len() as u32).to_be_bytes());
    for name in &names {
        answer.extend((name.len() as u32).to_be_bytes());
        answer.extend(name.as_bytes());
    }
    let mut framed = (answer.len() as u32).to_be_bytes().to_vec();
    framed.extend(&answer);
    // A list of short names is longer than its lines, but not as long as a frame may be.
    assert!(answer.len() <= LONGEST_FRAME || lines.len() > LONGEST_FRAME / 8);
    let Ok(Some((content, _))) = next_frame(&framed) else { return };
    let Ok(Frame::Reply { xid: 7, zxid: 9, result: Ok(reply) }) = Frame::read(content) else {
        panic!("a good answer is not one")
    };
    assert_eq!(
        reply.children().as_deref(),
        Ok(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()[..])
    );
}
