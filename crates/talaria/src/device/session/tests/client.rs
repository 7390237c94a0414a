//! A device at the other end of an in-memory pipe.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

const KEY: [u8; 4] = [1, 2, 3, 4];

/// The device's end of the pipe.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) io: DuplexStream,
}

/// A frame that the gateway sent.
#[derive(Debug, PartialEq)]
pub(super) struct Frame {
    pub(super) first: u8,
    pub(super) payload: Vec<u8>,
}

impl Client {
    pub(super) fn new(io: DuplexStream) -> Self {
        Self { io }
    }

    pub(super) async fn send(&mut self, frame: &[u8]) {
        self.io.write_all(frame).await.unwrap();
    }

    /// The next frame; none at the end of the connection.
    pub(super) async fn frame(&mut self) -> Option<Frame> {
        let mut header = [0; 2];
        self.io.read_exact(&mut header).await.ok()?;
        let [first, length] = header;
        let length = match length {
            126 => usize::from(self.io.read_u16().await.ok()?),
            127 => usize::try_from(self.io.read_u64().await.ok()?).unwrap(),
            short => usize::from(short),
        };
        let mut payload = vec![0; length];
        self.io.read_exact(&mut payload).await.ok()?;
        Some(Frame { first, payload })
    }

    pub(super) async fn expect(&mut self, first: u8, payload: impl AsRef<[u8]>) {
        let expected = Frame { first, payload: payload.as_ref().to_vec() };
        assert_eq!(self.frame().await, Some(expected));
    }

    /// Expects a close frame, and after it the end.
    pub(super) async fn expect_close(&mut self, code: u16, text: &str) {
        self.expect(0x88, [&code.to_be_bytes()[..], text.as_bytes()].concat()).await;
        assert_eq!(self.frame().await, None);
    }
}

/// A client's frame: masked.
pub(super) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    match u16::try_from(payload.len()) {
        Ok(short @ 0..126) => out.push(0x80 | short as u8),
        Ok(medium) => {
            out.push(0x80 | 126);
            out.extend(medium.to_be_bytes());
        }
        Err(_) => {
            out.push(0x80 | 127);
            out.extend((payload.len() as u64).to_be_bytes());
        }
    }
    out.extend(KEY);
    out.extend(payload.iter().zip(KEY.iter().cycle()).map(|(byte, key)| byte ^ key));
    out
}

pub(super) fn binary(payload: &[u8]) -> Vec<u8> {
    frame(0x82, payload)
}
