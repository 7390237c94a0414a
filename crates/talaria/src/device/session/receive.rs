//! One message of a device: from its frame to the request that waits for it, or to the dispatcher.

use std::sync::Arc;

use bytes::Bytes;
use talaria_protocol::inbound::{self, Accepted, InboundError, Route, Stamps};
use tracing::{debug, warn};
use wrp::{MessageRef, MessageType};

use super::context::SessionContext;
use super::pace::RateVerdict;
use crate::device::clock;
use crate::device::connected::{Device, Warned};
use crate::device::events::Dropped;

/// The label `reason` of `device_refused_messages` for a message beyond its device's rate.
const OVER_RATE: &str = "over_rate";

/// Passes on a binary message. One that is rejected is counted and logged once for the device, and the connection stays.
/// One beyond the device's rate is dropped, unless a request waits for it.
pub(super) fn binary(context: &SessionContext, device: &Arc<Device>, frame: &[u8], verdict: RateVerdict) {
    device.statistics().add_received(frame.len());
    context.noisiest.count(device, frame.len());
    context.wheel.heard(device);
    let stamp = clock::now();
    let stamps = Stamps {
        device_id: device.id(),
        partner_ids: &[device.partner_id()],
        trust: device.trust_text(),
        account_id: device.account_id(),
        session_id: device.session_id(),
        timestamp: stamp.as_str(),
    };
    let config = context.config.load();
    let (check, limits) = (config.source_check, &config.message_limits);
    match inbound::read(frame, &stamps, check, limits) {
        Ok(accepted) => match verdict {
            RateVerdict::Within => route(context, device, accepted),
            RateVerdict::Beyond => route_beyond_rate(context, device, &accepted),
        },
        Err(error) => {
            reject(context, device, &error);
            if error.is_limit()
                && let Some(message) = inbound::read_oversized(frame, &stamps, check, limits)
            {
                context.events.dropped(device, &message, Dropped::TooLarge);
            }
        }
    }
}

/// Counts a text message, which is ignored.
pub(super) fn text(context: &SessionContext, device: &Device, length: usize) {
    device.statistics().add_received(length);
    context.noisiest.count(device, length);
    context.wheel.heard(device);
    if device.is_first(Warned::Text) {
        warn!(id = %device.id(), length, "skipping non-binary frame; more of this device are not logged");
    }
}

fn route(context: &SessionContext, device: &Arc<Device>, accepted: Accepted<'_>) {
    let Accepted { mut message, route, source } = accepted;
    context.metrics.count_source(source);
    if message.msg_type == MessageType::SIMPLE_REQUEST_RESPONSE {
        context.metrics.request_response_count.inc();
    }
    if route == Route::Answer && complete(device, &message) {
        return;
    }
    context.events.message(device, &mut message);
}

/// A service waits for an answer, so it is passed on. Any other message is dropped.
fn route_beyond_rate(context: &SessionContext, device: &Arc<Device>, accepted: &Accepted<'_>) {
    let Accepted { message, route, source } = accepted;
    context.metrics.count_source(*source);
    if *route == Route::Answer && complete(device, message) {
        return;
    }
    context.metrics.count_refused(OVER_RATE);
    context.events.dropped(device, message, Dropped::OverRate);
}

/// Passes an answer to the request that waits for it. Returns whether one does; otherwise the dispatcher counts the
/// message as dropped.
fn complete(device: &Device, message: &MessageRef<'_>) -> bool {
    let uuid = message.transaction_uuid.to_str().unwrap_or_default();
    if device.transactions().is_waiting(uuid) {
        let mut answer = Vec::with_capacity(message.payload.map_or(0, <[u8]>::len) + 512);
        message.encode_v3(&mut answer);
        if device.transactions().complete(uuid, Bytes::from(answer)) {
            return true;
        }
    }
    if device.is_first(Warned::Unmatched) {
        warn!(
            id = %device.id(),
            transaction_key = uuid,
            "no request waits for this answer; more of this device are not logged"
        );
    }
    false
}

fn reject(context: &SessionContext, device: &Device, error: &InboundError) {
    context.metrics.count_refused(error.label());
    if let InboundError::Source(verdict) = error {
        context.metrics.count_source(*verdict);
    }
    if device.is_first(Warned::Refused) {
        warn!(id = %device.id(), %error, "message refused; more of this device are not logged");
    } else {
        debug!(id = %device.id(), %error, "message refused");
    }
}
