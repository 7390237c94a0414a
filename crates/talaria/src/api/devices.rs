//! Connected devices as JSON.

use std::fmt::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use talaria_protocol::go::duration;

use crate::device::{Device, Registry};

/// `{"devices":[…]}` in pieces, one for each shard of the registry. So half a million devices are never in memory as text,
/// and no lock is held while the client reads.
pub(super) fn list(registry: Arc<Registry>) -> impl Iterator<Item = Bytes> + Send {
    let mut is_first = true;
    let shards = (0..registry.shard_count()).map(move |shard| {
        let mut piece = String::new();
        for device in registry.shard_devices(shard) {
            if !is_first {
                piece.push(',');
            }
            is_first = false;
            write(&mut piece, &device);
        }
        Bytes::from(piece)
    });
    let opening = std::iter::once(Bytes::from_static(b"{\"devices\":["));
    opening.chain(shards).chain(std::iter::once(Bytes::from_static(b"]}")))
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
