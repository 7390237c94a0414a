//! One message of a device, from its frame to whoever it is for.

use std::sync::Arc;

use bytes::Bytes;
use talaria_protocol::inbound::{self, Accepted, InboundError, Route, Stamps};
use tracing::{debug, warn};
use wrp::{MessageRef, MessageType};

use crate::device::handle::Complaint;
use crate::device::{Device, Manager, clock};

/// Takes a binary message: to the request that waits for it, or to the dispatcher. What is refused is counted, and
/// logged once for the device; the connection is kept.
pub(super) fn binary(manager: &Manager, device: &Arc<Device>, frame: &[u8]) {
    device.statistics().add_received(frame.len());
    manager.wheel().heard(device);
    let stamp = clock::now();
    let stamps = Stamps {
        device_id: device.id(),
        partner_ids: &[device.partner_id()],
        session_id: device.session_id(),
        timestamp: stamp.as_str(),
    };
    match inbound::read(frame, &stamps, manager.config().source_check) {
        Ok(accepted) => route(manager, device, accepted),
        Err(error) => reject(manager, device, &error),
    }
}

/// Takes note of a text message.
pub(super) fn text(manager: &Manager, device: &Device, length: usize) {
    device.statistics().add_received(length);
    manager.wheel().heard(device);
    if device.is_first(Complaint::Text) {
        warn!(id = %device.id(), length, "skipping non-binary frame; more of this device are not logged");
    }
}

fn route(manager: &Manager, device: &Arc<Device>, accepted: Accepted<'_>) {
    let Accepted { mut message, route, source } = accepted;
    manager.metrics().count_source(source);
    if message.msg_type == MessageType::SIMPLE_REQUEST_RESPONSE {
        manager.metrics().request_response_count.inc();
    }
    if route == Route::Answer && complete(device, &message) {
        return;
    }
    manager.events().message(device, &mut message);
}

/// Hands an answer to the request that waits for it. False if none does: the dispatcher then says where it went.
fn complete(device: &Device, message: &MessageRef<'_>) -> bool {
    let uuid = message.transaction_uuid.to_str().unwrap_or_default();
    if device.transactions().is_waiting(uuid) {
        let mut answer = Vec::with_capacity(message.payload.map_or(0, <[u8]>::len) + 512);
        message.encode_v3(&mut answer);
        if device.transactions().complete(uuid, Bytes::from(answer)) {
            return true;
        }
    }
    if device.is_first(Complaint::Unmatched) {
        warn!(
            id = %device.id(),
            transaction_key = uuid,
            "no request waits for this answer; more of this device are not logged"
        );
    }
    false
}

fn reject(manager: &Manager, device: &Device, error: &InboundError) {
    manager.metrics().count_refused(error);
    if let InboundError::Source(verdict) = error {
        manager.metrics().count_source(*verdict);
    }
    if device.is_first(Complaint::Refused) {
        warn!(id = %device.id(), %error, "message refused; more of this device are not logged");
    } else {
        debug!(id = %device.id(), %error, "message refused");
    }
}
