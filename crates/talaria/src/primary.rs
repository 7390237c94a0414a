//! The primary server's requests: devices connect at `/api/{v2,v3}/device`, services use the REST API beside it.
//!
//! This is the room where a request becomes a device. `connect` has the checks of contract §2 in their order, `upgrade`
//! takes the connection over once its 101 has been sent; from then on the [device manager](crate::device::Manager) owns it.
//! All other paths are the [API](crate::api)'s.
//!
//! Deliberately absent: what a check looks at ([`talaria_protocol::connect`], [`auth`](crate::auth)) and what a connected
//! device does ([`device`](crate::device)). Start reading at [`Primary`], then `connect.rs`.

mod connect;
mod route;
pub mod upgrade;

use std::sync::Arc;

use http::{Request, Response};
use hyper::body::Incoming;

use crate::api::Api;
use crate::server::{Body, Handler, reply};
use route::Route;

pub use connect::{DeviceConnector, Subprotocols};

/// Answers the requests of the primary and of the alternate server.
#[derive(Debug)]
pub struct Primary {
    devices: DeviceConnector,
    api: Arc<Api>,
}

impl Primary {
    /// `devices` answers `/api/{v2,v3}/device`, `api` the other paths.
    pub fn new(devices: DeviceConnector, api: impl Into<Arc<Api>>) -> Self {
        Self { devices, api: api.into() }
    }
}

impl Handler for Primary {
    #[expect(clippy::manual_async_fn, reason = "an async fn would have room for the request twice")]
    fn handle(&self, mut request: Request<Incoming>) -> impl Future<Output = Response<Body>> + Send {
        async move {
            let in_flight = self.api.metrics().begin(&request);
            // A copy, because the route borrows from the path while the request is passed on.
            let uri = request.uri().clone();
            let (version, route) = Route::find(request.method(), uri.path());
            let mut response = match route {
                Route::Device => self.devices.connect(version, &mut request).await,
                Route::Devices => self.api.devices(version, &request).await,
                Route::Stat(id) => self.api.stat(version, &id, &request).await,
                Route::Send => self.api.send(version, request).await,
                Route::WrongMethod(allow) => reply::method_not_allowed(allow),
                Route::Unknown => reply::not_found(),
            };
            in_flight.answered(&mut response);
            response
        }
    }
}
