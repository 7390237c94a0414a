//! ZooKeeper's protocol, as much of it as a gateway needs: sessions, nodes, watches (contract §11.8).
//!
//! Each message is a frame of four bytes of length and its content; numbers are big-endian, texts and bytes have their length
//! before them (ZooKeeper's `zookeeper.jute`). A length is compared with what is there before anything is allocated.
//!
//! Deliberately absent: the connection, and when to do what.

mod reply;
mod request;

pub use reply::{ConnectReply, Event, Frame, Reply, next_frame};
pub use request::{Mode, Request, connect};

/// The longest frame that is accepted: four times ZooKeeper's own default.
pub const LONGEST_FRAME: usize = 4 * 1024 * 1024;

/// A session at a ZooKeeper, which outlives its connections for a while.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Session {
    /// Its number; 0 for a new one.
    pub id: i64,
    /// What proves that it is ours.
    pub password: Vec<u8>,
    /// The latest change that was seen in it.
    pub zxid: i64,
}

/// An error that ZooKeeper answers with, or an answer that is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ZooKeeperError {
    /// There is no such node.
    #[error("node does not exist")]
    NoNode,
    /// The session may not do that.
    #[error("not authenticated")]
    NoAuth,
    /// The credentials were refused.
    #[error("client authentication failed")]
    AuthFailed,
    /// There is such a node already.
    #[error("node already exists")]
    NodeExists,
    /// The session has ended.
    #[error("session has been expired by the server")]
    SessionExpired,
    /// Any other code.
    #[error("error code {0}")]
    Other(i32),
    /// The answer is not what the protocol says.
    #[error("the answer is malformed")]
    Malformed,
}

impl ZooKeeperError {
    fn of(code: i32) -> Option<Self> {
        match code {
            0 => None,
            -101 => Some(Self::NoNode),
            -102 => Some(Self::NoAuth),
            -110 => Some(Self::NodeExists),
            -112 => Some(Self::SessionExpired),
            -115 => Some(Self::AuthFailed),
            other => Some(Self::Other(other)),
        }
    }

    /// Whether ZooKeeper refuses the session, so that trying again is of no use until someone changes that.
    #[must_use]
    pub fn is_refusal(self) -> bool {
        matches!(self, Self::NoAuth | Self::AuthFailed)
    }
}

/// The names of a path's nodes, from the root on: `/a/b` is `/a`, then `/a/b`.
pub fn parents(path: &str) -> impl Iterator<Item = &str> {
    let ends = path.match_indices('/').map(|(at, _)| at).filter(|at| *at > 0);
    ends.chain(std::iter::once(path.len())).map(|end| &path[..end])
}

/// Whether a text is the path of a node other than the root.
#[must_use]
pub fn is_path(text: &str) -> bool {
    text.len() > 1
        && text.starts_with('/')
        && text[1..]
            .split('/')
            .all(|name| !name.is_empty() && name != "." && name != ".." && !name.contains('\0'))
}

/// The name of a node that go-kit's registrar makes: its creator recognizes it by these 16 bytes, and ZooKeeper appends a
/// number.
#[must_use]
pub fn protected_name(guid: [u8; 16]) -> String {
    let mut name = String::from("_c_");
    for byte in guid {
        name.push_str(&format!("{byte:02x}"));
    }
    name.push('-');
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_its_parents_first() {
        assert_eq!(
            parents("/xmidt/test/talaria").collect::<Vec<_>>(),
            ["/xmidt", "/xmidt/test", "/xmidt/test/talaria"]
        );
        assert!(is_path("/xmidt/test") && is_path("/a"));
        assert!(["", "/", "a", "/a/", "//a", "/a/../b"].into_iter().all(|text| !is_path(text)));
    }

    #[test]
    fn a_node_is_called_as_go_kit_calls_it() {
        let name = protected_name(std::array::from_fn(|at| at as u8 * 17));
        assert_eq!(name, "_c_00112233445566778899aabbccddeeff-");
    }
}
