//! What is sent to ZooKeeper.

use std::time::Duration;

use super::Session;

/// What is asked of ZooKeeper.
#[derive(Clone, Copy, Debug)]
pub enum Request<'a> {
    /// Makes a node that anyone may read and change. The answer is its path.
    Create {
        /// Its path; ZooKeeper appends a number to that of a sequential one.
        path: &'a str,
        /// Its content.
        data: &'a [u8],
        /// How long it stays.
        mode: Mode,
    },
    /// Removes a node, whatever its version.
    Delete(&'a str),
    /// The content of a node.
    GetData(&'a str),
    /// The names of a node's children.
    Children(&'a str),
    /// Which session a node belongs to.
    Owner(&'a str),
    /// The names of a node's children, and an event when they change.
    WatchChildren(&'a str),
    /// Says that the session is alive.
    Ping,
    /// Ends the session, and with it its ephemeral nodes.
    CloseSession,
}

/// How long a node stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Until it is removed.
    Persistent,
    /// Until its session ends; its name ends with a number.
    EphemeralSequential,
}

/// The number of a ping, which is the same for all.
const PING: i32 = -2;

/// Everything that anyone may do to a node.
const ALL: i32 = 31;

/// The first frame of a connection: asks for this session, or for a new one.
#[must_use]
pub fn connect(session: &Session, timeout: Duration) -> Vec<u8> {
    let mut out = Out::new();
    out.int(0);
    out.long(session.zxid);
    out.int(i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX));
    out.long(session.id);
    if session.password.is_empty() {
        out.bytes(&[0; 16]);
    } else {
        out.bytes(&session.password);
    }
    out.bool(false);
    out.frame()
}

impl Request<'_> {
    /// The number under which the answer comes.
    #[must_use]
    pub fn xid(&self, next: i32) -> i32 {
        if let Self::Ping = self { PING } else { next }
    }

    /// The frame of this request.
    #[must_use]
    pub fn frame(&self, next: i32) -> Vec<u8> {
        let mut out = Out::new();
        out.int(self.xid(next));
        match self {
            Self::Create { path, data, mode } => {
                out.int(1);
                out.text(path);
                out.bytes(data);
                out.int(1);
                out.int(ALL);
                out.text("world");
                out.text("anyone");
                out.int(match mode {
                    Mode::Persistent => 0,
                    Mode::EphemeralSequential => 3,
                });
            }
            Self::Delete(path) => {
                out.int(2);
                out.text(path);
                out.int(-1);
            }
            Self::GetData(path) => {
                out.int(4);
                out.text(path);
                out.bool(false);
            }
            Self::Owner(path) => {
                out.int(3);
                out.text(path);
                out.bool(false);
            }
            Self::Children(path) | Self::WatchChildren(path) => {
                out.int(8);
                out.text(path);
                out.bool(matches!(self, Self::WatchChildren(_)));
            }
            Self::Ping => out.int(11),
            Self::CloseSession => out.int(-11),
        }
        out.frame()
    }
}

/// A frame that is written.
struct Out(Vec<u8>);

impl Out {
    fn new() -> Self {
        Self(vec![0; 4])
    }

    fn int(&mut self, number: i32) {
        self.0.extend(number.to_be_bytes());
    }

    fn long(&mut self, number: i64) {
        self.0.extend(number.to_be_bytes());
    }

    fn bool(&mut self, value: bool) {
        self.0.push(u8::from(value));
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.int(length(bytes.len()));
        self.0.extend(bytes);
    }

    fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    fn frame(mut self) -> Vec<u8> {
        let content = length(self.0.len() - 4);
        self.0[..4].copy_from_slice(&content.to_be_bytes());
        self.0
    }
}

/// Nothing that is sent is longer: paths and contents come from the configuration.
fn length(length: usize) -> i32 {
    i32::try_from(length).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_those_of_the_protocol() {
        let mut expected = vec![0, 0, 0, 14, 0, 0, 0, 7, 0, 0, 0, 8, 0, 0, 0, 1];
        expected.extend([b'/', 1]);
        assert_eq!(Request::WatchChildren("/").frame(7), expected);
        assert_eq!(Request::Ping.frame(7), [0, 0, 0, 8, 255, 255, 255, 254, 0, 0, 0, 11]);
        let new = connect(&Session::default(), Duration::from_secs(10));
        assert_eq!((new.len(), &new[16..20]), (49, &[0, 0, 0x27, 0x10][..]));
    }
}
