//! The control server: what an operator can do to a running gateway (contract §7).
//!
//! - `gate`: whether new devices may connect.
//! - `filter`: which devices may not connect because of the claims of their tokens.
//! - `noisiest`: which devices and partners send most.
//! - `configuration`: reads and changes the configuration.
//! - [`drain`]: disconnects all or some of the connected devices at a limited pace.
//!
//! All of it can do harm, so the server is started only if it has an address. It belongs on a network that devices and
//! strangers cannot reach. Paths and responses are the reference's, below `/api/v3` and `/api/v2`, except that JSON bodies
//! are read whatever their content type, texts are escaped, and every response carries the identity headers.
//!
//! What a request means is in [`talaria_protocol::control`]. Start reading at [`Control`].

mod configuration;
pub mod drain;
mod filter;
mod gate;
mod metrics;
mod noisiest;
mod request;

use std::fmt;
use std::sync::Arc;

use http::{Method, Request, Response};
use hyper::body::Incoming;

use crate::api_version::ApiVersion;
use crate::device::Manager;
use crate::reload::{Edit, Reload};
use crate::server::{Body, Handler, reply};

pub use drain::Drainer;
pub use metrics::ControlMetrics;
pub use request::ControlError;

/// The methods of `/device/drain`.
const DRAIN_METHODS: &str = "GET, POST, PUT, PATCH, DELETE";

/// Answers the requests of the control server.
pub struct Control {
    devices: Arc<Manager>,
    drainer: Arc<Drainer>,
    metrics: ControlMetrics,
    /// The configuration; none in a gateway that was not started with one, as in the demo.
    reload: Option<Arc<Reload>>,
}

/// A path that the control server knows, with a method that it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Route {
    ShowGate,
    SetGate,
    ShowFilters,
    SetFilter,
    RemoveFilter,
    ShowDrain,
    StartDrain,
    CancelDrain,
    ShowNoisiest,
    ShowConfiguration,
    ShowConfigurationState,
    ReplaceConfiguration,
    PatchConfiguration,
    ResetConfiguration,
    /// `/device/drain` with another method, which is answered with 405. Other paths are then unknown (contract §7).
    WrongDrainMethod,
    Unknown,
}

impl Control {
    /// Control of these devices.
    pub fn new(devices: Arc<Manager>, drainer: Arc<Drainer>, metrics: ControlMetrics) -> Self {
        metrics.set_gate(devices.gate().is_open());
        Self { devices, drainer, metrics, reload: None }
    }

    /// Lets operators read and change this configuration.
    #[must_use]
    pub fn with_reload(self, reload: Option<Arc<Reload>>) -> Self {
        Self { reload, ..self }
    }

    async fn answer(&self, request: Request<Incoming>) -> Result<Response<Body>, ControlError> {
        match (Route::find(request.method(), request.uri().path()), &self.reload) {
            (Route::ShowGate, _) => Ok(gate::show(self.devices.gate())),
            (Route::SetGate, _) => gate::set(self.devices.gate(), &self.metrics, request).await,
            (Route::ShowFilters, _) => Ok(filter::show(self.devices.filters())),
            (Route::SetFilter, _) => filter::set(self.devices.filters(), request).await,
            (Route::RemoveFilter, _) => filter::remove(self.devices.filters(), request).await,
            (Route::ShowDrain, _) => Ok(drain::show(&self.drainer)),
            (Route::StartDrain, _) => drain::start(&self.drainer, request).await,
            (Route::CancelDrain, _) => Ok(drain::cancel(&self.drainer).await),
            (Route::ShowNoisiest, _) => Ok(noisiest::show(self.devices.noisiest())),
            (Route::WrongDrainMethod, _) => Ok(reply::method_not_allowed(DRAIN_METHODS)),
            (Route::ShowConfiguration, Some(reload)) => Ok(configuration::show(reload)),
            (Route::ShowConfigurationState, Some(reload)) => Ok(configuration::show_state(reload)),
            (Route::ReplaceConfiguration, Some(reload)) => {
                configuration::change(reload, request, Edit::Replace).await
            }
            (Route::PatchConfiguration, Some(reload)) => {
                configuration::change(reload, request, Edit::Patch).await
            }
            (Route::ResetConfiguration, Some(reload)) => configuration::reset(reload, request).await,
            (Route::Unknown, _) | (_, None) => Ok(reply::not_found()),
        }
    }
}

impl Handler for Control {
    async fn handle(&self, request: Request<Incoming>) -> Response<Body> {
        self.answer(request).await.unwrap_or_else(ControlError::into_response)
    }
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control").finish_non_exhaustive()
    }
}

impl Route {
    fn find(method: &Method, path: &str) -> Self {
        let path = ApiVersion::split(path).map(|(_, rest)| rest);
        match (path, method.as_str()) {
            (Some("device/gate"), "GET") => Self::ShowGate,
            (Some("device/gate"), "POST" | "PUT" | "PATCH") => Self::SetGate,
            (Some("device/gate/filter"), "GET") => Self::ShowFilters,
            (Some("device/gate/filter"), "POST" | "PUT") => Self::SetFilter,
            (Some("device/gate/filter"), "DELETE") => Self::RemoveFilter,
            (Some("device/drain"), "GET") => Self::ShowDrain,
            (Some("device/drain"), "POST" | "PUT" | "PATCH") => Self::StartDrain,
            (Some("device/drain"), "DELETE") => Self::CancelDrain,
            (Some("device/noisiest"), "GET") => Self::ShowNoisiest,
            (Some("config"), "GET") => Self::ShowConfiguration,
            (Some("config"), "PUT") => Self::ReplaceConfiguration,
            (Some("config"), "PATCH") => Self::PatchConfiguration,
            (Some("config"), "DELETE") => Self::ResetConfiguration,
            (Some("config/state"), "GET") => Self::ShowConfigurationState,
            (Some("device/drain"), _) => Self::WrongDrainMethod,
            _ => Self::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_are_served_and_nothing_beside_the_paths() {
        for version in ["v2", "v3"] {
            let path = format!("/api/{version}/device/gate");
            assert_eq!(Route::find(&Method::GET, &path), Route::ShowGate);
            assert_eq!(Route::find(&Method::GET, &format!("{path}/")), Route::Unknown);
        }
        assert_eq!(Route::find(&Method::GET, "/api/v4/device/gate"), Route::Unknown);
        assert_eq!(Route::find(&Method::PATCH, "/api/v3/device/gate/filter"), Route::Unknown);
        assert_eq!(Route::find(&Method::HEAD, "/api/v3/device/drain"), Route::WrongDrainMethod);
    }
}
