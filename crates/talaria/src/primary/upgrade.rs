//! The upgrade of a request that passed all checks: the 101, and the device's connection after it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, UPGRADE};
use http::{HeaderValue, Request, Response, StatusCode};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use talaria_protocol::connect::Identity;
use talaria_protocol::session::Reason;
use talaria_protocol::ws::frame::write_close;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout;
use tracing::{debug, warn};

use crate::device::{Manager, NotAdmittedError};
use crate::server::{Body, upgrade};

/// How long a device that is rejected after its upgrade may take to read the close frame.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// The 101 with this `Sec-WebSocket-Accept`. The device is registered after the response has been sent.
pub fn switch_protocols<R>(
    devices: &Arc<Manager>,
    mut request: Request<R>,
    accept: String,
    identity: Identity,
) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    if let Ok(accept) = HeaderValue::try_from(accept) {
        headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    }
    // A short-lived task of its own, because hyper hands the connection over only after it has sent the response.
    tokio::spawn(take_over(Arc::clone(devices), hyper::upgrade::on(&mut request), identity));
    response
}

async fn take_over(devices: Arc<Manager>, upgrading: OnUpgrade, identity: Identity) {
    let upgraded = match upgrading.await {
        Ok(upgraded) => upgraded,
        Err(error) => {
            return debug!(id = %identity.id, %error, "device left before its handshake was complete");
        }
    };
    match upgrade::take(upgraded) {
        Ok(taken) => connect(&devices, taken.socket, taken.read_ahead, identity),
        Err(upgraded) => {
            warn!(id = %identity.id, "connection of a foreign HTTP server, it keeps its HTTP buffers in memory");
            connect(&devices, Box::new(TokioIo::new(upgraded)), Bytes::new(), identity);
        }
    }
}

/// Hands the connection to the device manager. A device that it does not admit is sent a close frame.
fn connect<S>(devices: &Arc<Manager>, io: S, read_ahead: Bytes, identity: Identity)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    if let Err(NotAdmittedError { io, reason }) = devices.connect(io, read_ahead, identity) {
        tokio::spawn(close(io, reason));
    }
}

async fn close<S: AsyncWrite + Unpin>(mut io: S, reason: Reason) {
    let mut frame = Vec::new();
    write_close(&mut frame, Some(reason.close_code()), reason.as_str());
    let written = async {
        io.write_all(&frame).await?;
        io.shutdown().await
    };
    // The connection is dropped whether or not the device has read the frame.
    let _ = timeout(CLOSE_TIMEOUT, written).await;
}

#[cfg(test)]
mod tests {
    use talaria_protocol::session::CloseReason;
    use tokio::io::AsyncReadExt as _;
    use wrp::MessageRef;

    use super::*;
    use crate::device::{Config, Device, Dropped, Events, session_id};
    use crate::telemetry::metrics::Metrics;

    struct NoEvents;

    impl Events for NoEvents {
        fn online(&self, _: &Arc<Device>) {}
        fn offline(&self, _: &Arc<Device>, _: &CloseReason) {}
        fn message(&self, _: &Arc<Device>, _: &mut MessageRef<'_>) {}
        fn dropped(&self, _: &Arc<Device>, _: &MessageRef<'_>, _: Dropped) {}
    }

    /// Connects a device, and reads what it is sent until its connection ends.
    async fn received(devices: &Arc<Manager>) -> Vec<u8> {
        let (near, mut far) = tokio::io::duplex(4096);
        connect(devices, near, Bytes::new(), Identity::new("uuid:a".parse().unwrap(), session_id::random()));
        let mut received = Vec::new();
        far.read_to_end(&mut received).await.unwrap();
        received
    }

    fn close_frame(reason: Reason) -> Vec<u8> {
        let mut frame = Vec::new();
        write_close(&mut frame, Some(reason.close_code()), reason.as_str());
        frame
    }

    #[tokio::test(start_paused = true)]
    async fn a_device_over_the_limit_is_sent_a_close_frame() {
        let config = Config { max_devices: Some(0), ..Config::default() };
        let devices = Manager::new(config, Arc::new(NoEvents), &Metrics::default());
        assert_eq!(received(&devices).await, close_frame(Reason::DeviceLimitReached));
    }

    #[tokio::test(start_paused = true)]
    async fn a_device_that_connects_during_a_shutdown_is_sent_a_close_frame() {
        let devices = Manager::new(Config::default(), Arc::new(NoEvents), &Metrics::default());
        devices.shutdown(Duration::ZERO).await;
        assert_eq!(received(&devices).await, close_frame(Reason::Drained));
    }
}
