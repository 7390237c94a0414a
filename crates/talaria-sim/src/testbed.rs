//! Everything that a measurement needs around a gateway: the gateway itself, the places where its events arrive, a ledger of
//! what was sent, and a fleet of devices.
//!
//! [`bench`](crate::bench) and [`attack`](crate::attack) both run on a testbed. What they do with it is not known here.
//! Start at `Testbed::start`.

mod api;
mod certificates;
mod error;
mod far_ends;
mod gateway;
mod gateways;
mod metrics_page;
mod options;
mod spawn;

use std::sync::Arc;

pub use api::{Api, ApiError};
pub use error::TestbedError;
pub use options::TestbedOptions;
pub use spawn::SpawnError;

pub(crate) use far_ends::FarEnds;
pub(crate) use gateway::Gateway;
pub(crate) use gateways::Gateways;
pub(crate) use metrics_page::{Compression, MetricsPage};
pub(crate) use spawn::{Limits, Routes};

use crate::fleet::{self, Fleet};
use crate::ledger::Ledger;
use crate::process;
use crate::run::RunId;

/// File descriptors that this process needs in addition to those of its connections to the gateway.
const OTHER_FILES: u64 = 500;

/// A gateway and what is around it. The devices of the fleet are not connected yet.
pub(crate) struct Testbed {
    pub(crate) gateway: Gateway,
    pub(crate) far_ends: FarEnds,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) fleet: Arc<Fleet>,
}

/// What a measurement needs in addition to what the command line says.
pub(crate) struct Requirements {
    /// Connections to the gateway at the same time.
    pub(crate) connections: usize,
    /// The most events in flight; `None` for no limit.
    pub(crate) window: Option<usize>,
    /// The limits of a gateway that is started here; `None` for its defaults.
    pub(crate) limits: Option<Limits>,
    /// Where a gateway that is started here sends the events of its devices.
    pub(crate) routes: Routes,
}

impl Testbed {
    /// Starts the far ends, then the gateway or, if it is already running, finds it.
    pub(crate) async fn start(
        options: &TestbedOptions,
        requirements: Requirements,
    ) -> Result<Self, TestbedError> {
        let Requirements { connections, window, limits, routes } = requirements;
        check_files(connections)?;
        let run = RunId::random();
        let ledger = Ledger::new(run, FarEnds::expected(options, routes));
        let ledger = Arc::new(match window {
            Some(window) => ledger.with_window(window),
            None => ledger,
        });
        let far_ends = FarEnds::start(options, &ledger).await?;
        let gateway = Gateway::start_or_find(options, run, &far_ends, limits, routes).await?;
        let config = fleet::Config {
            tls: gateway.tls.clone().filter(|_| gateway.target.is_tls),
            connecting: options.connecting,
            reconnect: None,
            headers: options.access.headers()?,
            ..fleet::Config::new(gateway.target.clone(), options.devices)
        };
        let fleet = Arc::new(Fleet::new(config, Arc::clone(&ledger)));
        Ok(Self { gateway, far_ends, ledger, fleet })
    }

    /// Stops the gateway if it was started here. Returns its exit code, or -1 if it was ended by a signal.
    pub(crate) async fn stop(self) -> Result<Option<i32>, TestbedError> {
        Box::pin(self.gateway.stop()).await
    }
}

/// Raises the limit of open files, and checks that it suffices.
pub(crate) fn check_files(connections: usize) -> Result<(), TestbedError> {
    let needed = connections as u64 + OTHER_FILES;
    match process::raise_open_files() {
        Ok(allowed) if allowed < needed => Err(TestbedError::Files { connections, needed, allowed }),
        // If the limit cannot be read or raised, it may still suffice.
        _ => Ok(()),
    }
}
