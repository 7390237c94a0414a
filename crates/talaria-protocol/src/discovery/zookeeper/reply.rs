//! What comes from ZooKeeper.

use super::{LONGEST_FRAME, Session, ZooKeeperError};

/// The number of events, which no request has.
const EVENT: i32 = -1;

/// A frame, by what it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// Something that is watched has changed.
    Event(Event),
    /// The answer to a request.
    Reply {
        /// The request's number.
        xid: i32,
        /// The latest change that ZooKeeper knows.
        zxid: i64,
        /// The answer, or the error.
        result: Result<Reply, ZooKeeperError>,
    },
}

/// An event of a watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The path that is watched; empty for a change of the session's state.
    pub path: String,
}

/// The content of a good answer, which the request says how to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply(Vec<u8>);

/// The answer to the first frame of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConnectReply {
    /// The session, with the milliseconds after which it ends without a word of ours.
    Open {
        /// The session.
        session: Session,
        /// Its timeout, as ZooKeeper set it.
        timeout_ms: u32,
    },
    /// The session that was asked for has ended.
    Expired,
}

/// The first frame of these bytes, without its length, and how many bytes it takes; none if it is not whole.
///
/// # Errors
/// If it would be longer than [`LONGEST_FRAME`].
pub fn next_frame(bytes: &[u8]) -> Result<Option<(&[u8], usize)>, ZooKeeperError> {
    let Some((length, rest)) = bytes.split_first_chunk::<4>() else { return Ok(None) };
    let length = usize::try_from(i32::from_be_bytes(*length)).map_err(|_| ZooKeeperError::Malformed)?;
    if length > LONGEST_FRAME {
        return Err(ZooKeeperError::Malformed);
    }
    Ok(rest.get(..length).map(|frame| (frame, length + 4)))
}

impl ConnectReply {
    /// Reads the answer to the first frame.
    ///
    /// # Errors
    /// If the frame is too short for one.
    pub fn read(frame: &[u8]) -> Result<Self, ZooKeeperError> {
        let mut input = Input(frame);
        input.int()?;
        let timeout_ms = u32::try_from(input.int()?).unwrap_or(0);
        let id = input.long()?;
        let password = input.bytes()?.to_vec();
        if id == 0 || timeout_ms == 0 {
            return Ok(Self::Expired);
        }
        Ok(Self::Open { session: Session { id, password, zxid: 0 }, timeout_ms })
    }
}

impl Frame {
    /// Reads any later frame.
    ///
    /// # Errors
    /// If the frame is too short for one.
    pub fn read(frame: &[u8]) -> Result<Self, ZooKeeperError> {
        let mut input = Input(frame);
        let xid = input.int()?;
        let zxid = input.long()?;
        let error = ZooKeeperError::of(input.int()?);
        if xid == EVENT {
            input.int()?;
            input.int()?;
            return Ok(Self::Event(Event { path: input.text()? }));
        }
        let result = error.map_or_else(|| Ok(Reply(input.0.to_vec())), Err);
        Ok(Self::Reply { xid, zxid, result })
    }
}

impl Reply {
    /// The path of a node that was made.
    ///
    /// # Errors
    /// If the answer has none.
    pub fn path(&self) -> Result<String, ZooKeeperError> {
        Input(&self.0).text()
    }

    /// The content of a node.
    ///
    /// # Errors
    /// If the answer has none.
    pub fn data(&self) -> Result<Vec<u8>, ZooKeeperError> {
        Input(&self.0).bytes().map(<[u8]>::to_vec)
    }

    /// The session that a node belongs to; 0 for a node that stays.
    ///
    /// # Errors
    /// If the answer has none.
    pub fn owner(&self) -> Result<i64, ZooKeeperError> {
        let mut input = Input(&self.0);
        // czxid, mzxid, ctime, mtime; version, cversion, aversion.
        for _ in 0..4 {
            input.long()?;
        }
        for _ in 0..3 {
            input.int()?;
        }
        input.long()
    }

    /// The names of children.
    ///
    /// # Errors
    /// If the answer has none.
    pub fn children(&self) -> Result<Vec<String>, ZooKeeperError> {
        let mut input = Input(&self.0);
        // Each takes four bytes at least, so that nothing grows beyond what has come.
        let count = input.int()?.max(0);
        let mut names = Vec::new();
        for _ in 0..count {
            names.push(input.text()?);
        }
        Ok(names)
    }
}

/// What is left of a frame.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], ZooKeeperError> {
        let (taken, rest) = self.0.split_first_chunk::<N>().ok_or(ZooKeeperError::Malformed)?;
        self.0 = rest;
        Ok(*taken)
    }

    fn int(&mut self) -> Result<i32, ZooKeeperError> {
        self.take().map(i32::from_be_bytes)
    }

    fn long(&mut self) -> Result<i64, ZooKeeperError> {
        self.take().map(i64::from_be_bytes)
    }

    /// A length of -1 means none, which is the same as empty here.
    fn bytes(&mut self) -> Result<&'a [u8], ZooKeeperError> {
        let length = usize::try_from(self.int()?).unwrap_or(0);
        let (bytes, rest) = self.0.split_at_checked(length).ok_or(ZooKeeperError::Malformed)?;
        self.0 = rest;
        Ok(bytes)
    }

    fn text(&mut self) -> Result<String, ZooKeeperError> {
        let bytes = self.bytes()?;
        std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| ZooKeeperError::Malformed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(parts: &[&[u8]]) -> Vec<u8> {
        parts.concat()
    }

    #[test]
    fn a_frame_is_read_when_it_is_whole() {
        assert_eq!(next_frame(&[0, 0, 0, 2, 7]), Ok(None));
        assert_eq!(next_frame(&[0, 0, 0, 2, 7, 8, 9]), Ok(Some((&[7, 8][..], 6))));
        assert_eq!(next_frame(&[0x7f, 0, 0, 0]), Err(ZooKeeperError::Malformed));
        assert_eq!(next_frame(&[0xff, 0, 0, 0]), Err(ZooKeeperError::Malformed));
    }

    #[test]
    fn answers_events_and_errors_are_told_apart_by_their_numbers() {
        let zxid = 5_i64.to_be_bytes();
        let children =
            frame(&[&[0, 0, 0, 9], &zxid, &[0; 4], &[0, 0, 0, 2, 0, 0, 0, 1, b'a', 0, 0, 0, 1, b'b']]);
        let Ok(Frame::Reply { xid: 9, zxid: 5, result: Ok(reply) }) = Frame::read(&children) else {
            panic!()
        };
        assert_eq!(reply.children().unwrap(), ["a", "b"]);
        let event = frame(&[&[255; 4], &zxid, &[0; 4], &[0, 0, 0, 4, 0, 0, 0, 3, 0, 0, 0, 2, b'/', b'a']]);
        assert_eq!(Frame::read(&event), Ok(Frame::Event(Event { path: "/a".to_owned() })));
        let error = frame(&[&[0, 0, 0, 9], &zxid, &(-101_i32).to_be_bytes()]);
        let expected = Frame::Reply { xid: 9, zxid: 5, result: Err(ZooKeeperError::NoNode) };
        assert_eq!(Frame::read(&error), Ok(expected));
    }

    #[test]
    fn lengths_that_lie_are_errors_and_allocate_nothing() {
        let zxid = [0; 8];
        let lying = frame(&[&[0, 0, 0, 9], &zxid, &[0; 4], &[0x7f, 0xff, 0xff, 0xff]]);
        let Ok(Frame::Reply { result: Ok(reply), .. }) = Frame::read(&lying) else { panic!() };
        assert_eq!(reply.children(), Err(ZooKeeperError::Malformed));
        assert_eq!(reply.data(), Err(ZooKeeperError::Malformed));
        for length in 0..lying.len() - 4 {
            assert!(Frame::read(&lying[..length]).is_err());
        }
    }

    #[test]
    fn a_session_that_has_ended_is_answered_without_a_number() {
        let open = frame(&[&[0; 4], &[0, 0, 0x27, 0x10], &7_i64.to_be_bytes(), &[0, 0, 0, 2, 1, 2, 0]]);
        let session = Session { id: 7, password: vec![1, 2], zxid: 0 };
        assert_eq!(ConnectReply::read(&open), Ok(ConnectReply::Open { session, timeout_ms: 10_000 }));
        assert_eq!(ConnectReply::read(&[0; 20]), Ok(ConnectReply::Expired));
        assert!(ConnectReply::read(&[0; 19]).is_err());
    }
}
