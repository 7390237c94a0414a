//! The upgrade of a request that passed all checks: the 101, and the device's connection after it.

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

use crate::device::{AdmittedDevice, Manager, NotAdmittedError};
use crate::server::{Body, upgrade};

/// How long a device that is rejected after its upgrade may take to read the close frame.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Registers the device, and answers with the 101 with this `Sec-WebSocket-Accept`. Its session starts after the response has
/// been sent. A device that is not admitted receives the 101, too, and then a close frame that says why.
pub fn switch_protocols<R>(
    devices: &Manager,
    request: &mut Request<R>,
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
    let admitted = devices.admit(identity);
    // A short-lived task of its own, because hyper hands the connection over only after it has sent the response.
    tokio::spawn(take_over(admitted, hyper::upgrade::on(request)));
    response
}

async fn take_over(admitted: Result<AdmittedDevice, NotAdmittedError>, upgrading: OnUpgrade) {
    let upgraded = match upgrading.await {
        Ok(upgraded) => upgraded,
        Err(error) => return debug!(?admitted, %error, "device left before its handshake was complete"),
    };
    match upgrade::take(upgraded) {
        Ok(taken) => start(admitted, taken.socket, taken.read_ahead),
        Err(upgraded) => {
            warn!("connection of a foreign HTTP server, it keeps its HTTP buffers in memory");
            start(admitted, Box::new(TokioIo::new(upgraded)), Bytes::new());
        }
    }
}

/// Starts the session of the device. One that is not admitted is sent a close frame.
fn start<S>(admitted: Result<AdmittedDevice, NotAdmittedError>, io: S, read_ahead: Bytes)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    match admitted {
        Ok(device) => device.start(io, read_ahead),
        Err(NotAdmittedError(reason)) => drop(tokio::spawn(close(io, reason))),
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
    use std::sync::Arc;

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
        let admitted = devices.admit(Identity::new("uuid:a".parse().unwrap(), session_id::random()));
        start(admitted, near, Bytes::new());
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
