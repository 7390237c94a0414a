//! Connected devices as JSON.

use std::fmt::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use talaria_protocol::go::duration;

use crate::device::{Device, Registry};

/// A piece ends with the device that makes it this long, in bytes.
const PIECE: usize = 32 * 1024;

/// `{"devices":[…]}` in pieces of some [`PIECE`] bytes. So half a million devices are never in memory as text, and no lock is held
/// while the client reads.
pub(super) fn list(registry: Arc<Registry>) -> impl Iterator<Item = Bytes> + Send {
    let opening = std::iter::once(Bytes::from_static(b"{\"devices\":["));
    opening.chain(Pieces::of(registry)).chain(std::iter::once(Bytes::from_static(b"]}")))
}

/// The devices between the brackets.
struct Pieces {
    registry: Arc<Registry>,
    next_shard: usize,
    /// The devices of the shard before, as far as they have not been written.
    shard: std::vec::IntoIter<Arc<Device>>,
    is_first: bool,
}

impl Pieces {
    fn of(registry: Arc<Registry>) -> Self {
        Self { registry, next_shard: 0, shard: Vec::new().into_iter(), is_first: true }
    }

    fn next_device(&mut self) -> Option<Arc<Device>> {
        loop {
            if let Some(device) = self.shard.next() {
                return Some(device);
            }
            if self.next_shard == self.registry.shard_count() {
                return None;
            }
            self.shard = self.registry.shard_devices(self.next_shard).into_iter();
            self.next_shard += 1;
        }
    }
}

impl Iterator for Pieces {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        let mut piece = String::new();
        while piece.len() < PIECE
            && let Some(device) = self.next_device()
        {
            if !std::mem::take(&mut self.is_first) {
                piece.push(',');
            }
            write(&mut piece, &device);
        }
        (!piece.is_empty()).then(|| piece.into())
    }
}

/// One device, as a JSON object.
pub(super) fn describe(device: &Device) -> String {
    let mut object = String::new();
    write(&mut object, device);
    object
}

/// Keys, order and blanks are the reference's (contract §3.2).
fn write(to: &mut String, device: &Device) {
    let id = serde_json::Value::from(device.id().as_str());
    let statistics = device.statistics();
    // Writing to a String cannot fail.
    let _ = write!(
        to,
        "{{\"id\": {id}, \"pending\": {pending}, \"statistics\": {{\
         \"bytesSent\": {bytes_sent}, \"messagesSent\": {messages_sent}, \
         \"bytesReceived\": {bytes_received}, \"messagesReceived\": {messages_received}, \
         \"duplications\": {duplications}, \"connectedAt\": \"{connected_at}\", \"upTime\": \"{up_time}\"}}}}",
        pending = device.pending(),
        bytes_sent = statistics.bytes_sent(),
        messages_sent = statistics.messages_sent(),
        bytes_received = statistics.bytes_received(),
        messages_received = statistics.messages_received(),
        duplications = statistics.duplications(),
        connected_at = statistics.connected_at(),
        up_time = duration::format(statistics.up_time()),
    );
}

#[cfg(test)]
mod tests {
    use talaria_protocol::connect::Identity;

    use super::*;
    use crate::device::{Config, session_id};

    #[test]
    fn many_devices_are_listed_each_once_in_pieces_of_a_bounded_length() {
        let registry = Arc::new(Registry::new(None));
        let number = 3_000;
        for device in 0..number {
            let id = format!("mac:{device:012x}").parse().unwrap();
            let identity = Identity::new(id, session_id::random());
            registry.connect(&Device::new(identity, &Config::default())).unwrap();
        }
        let pieces: Vec<Bytes> = list(Arc::clone(&registry)).collect();
        assert!(pieces.iter().all(|piece| piece.len() < PIECE + 1024));
        assert!(pieces.len() > number * 200 / PIECE);
        let list: serde_json::Value = serde_json::from_slice(&pieces.concat()).unwrap();
        let mut ids: Vec<&str> =
            list["devices"].as_array().unwrap().iter().map(|d| d["id"].as_str().unwrap()).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), number);
    }

    #[test]
    fn no_devices_are_an_empty_list() {
        let pieces: Vec<Bytes> = list(Arc::new(Registry::new(None))).collect();
        assert_eq!(pieces.concat(), b"{\"devices\":[]}");
    }
}
