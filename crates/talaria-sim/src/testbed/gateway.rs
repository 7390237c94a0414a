//! The gateway under test: started here, or already running.

use super::api::Api;
use super::error::TestbedError;
use super::far_ends::FarEnds;
use super::options::TestbedOptions;
use super::spawn::{GatewayConfig, Limits, Routes, SpawnedGateway};
use crate::access::AccessError;
use crate::fleet::Target;
use crate::process::Process;
use crate::run::RunId;
use crate::tls::{Tickets, Tls, Trust};

/// The addresses of a gateway, and its process.
#[derive(Debug)]
pub(crate) struct Gateway {
    pub(crate) target: Target,
    /// The TLS configuration of its clients, if it has TLS.
    pub(crate) tls: Option<Tls>,
    pub(crate) api: Option<Api>,
    pub(crate) process: Process,
    /// `None` if it was already running.
    pub(crate) spawned: Option<SpawnedGateway>,
}

impl Gateway {
    /// Starts the program of `--spawn`, with these limits, or takes the gateway that the other options name.
    pub(crate) async fn start_or_find(
        options: &TestbedOptions,
        run: RunId,
        far_ends: &FarEnds,
        limits: Option<Limits>,
        routes: Routes,
    ) -> Result<Self, TestbedError> {
        let Some(path) = &options.spawn else { return Self::running(options) };
        let config = GatewayConfig {
            receiver: far_ends.receiver_url().unwrap_or_default(),
            brokers: far_ends.brokers().unwrap_or_default(),
            topic: &options.topic,
            auth: &options.auth,
            tls: options.tls,
            limits,
            routes,
        };
        let spawned = SpawnedGateway::start(&options.prefix, path, run, &config).await?;
        Self::spawned(spawned, options.access.tickets())
    }

    /// Stops it if it was started here. Returns its exit code, or -1 if it was ended by a signal.
    pub(super) async fn stop(self) -> Result<Option<i32>, TestbedError> {
        let Some(spawned) = self.spawned else { return Ok(None) };
        let status = spawned.stop().await.map_err(|source| TestbedError::of_process(self.process, source))?;
        Ok(Some(status.and_then(|status| status.code()).unwrap_or(-1)))
    }

    pub(super) fn spawned(spawned: SpawnedGateway, tickets: Tickets) -> Result<Self, TestbedError> {
        let (mut target, mut api) = (Target::at(spawned.primary()), Api::at(spawned.primary()));
        let mut tls = None;
        if let Some(authority) = spawned.authority() {
            tls = Some(Tls::new(Trust::Authorities(authority), None, tickets).map_err(AccessError::from)?);
            target.is_tls = true;
            api = api.over_tls();
        }
        let process = spawned.process();
        Ok(Self { target, tls, api: Some(api), process, spawned: Some(spawned) })
    }

    fn running(options: &TestbedOptions) -> Result<Self, TestbedError> {
        let (Some(target), Some(pid)) = (options.device.clone(), options.pid) else {
            return Err(TestbedError::NoGateway);
        };
        let api = options.api.clone();
        let needs_tls = target.is_tls || api.as_ref().is_some_and(Api::is_tls);
        let tls = options.access.tls(needs_tls)?;
        Ok(Self { target, tls, api, process: Process::new(pid), spawned: None })
    }
}
