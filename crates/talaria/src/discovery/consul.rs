//! The backend of Consul: watches services by blocking queries, and registers this gateway with its checks (contract §11.5).
//!
//! Each watch and each registration is a task of its own. They end with the backend.

mod client;
mod config;
mod registration;
mod watch;

use std::sync::Arc;

use http::Method;
use talaria_protocol::discovery::consul;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tracing::{info, warn};

use super::backoff::Backoff;
use super::registrations::Registrations;
use super::report::Reporter;
use client::{Client, ConsulError, Query};
use watch::Watching;

pub use config::{BasicAuth, ClientConfig, Config, Heartbeat, Registration, Token, Watch};

/// Runs until it is dropped.
pub(super) async fn run(config: Config, reporter: Reporter, registrations: Registrations) {
    let client = Arc::new(Client::new(config.client.clone()));
    let mut tasks = JoinSet::new();
    for registration in config.registrations {
        tasks.spawn(registration::run(Arc::clone(&client), registration, registrations.clone()));
    }
    let (across, within): (Vec<Watch>, Vec<Watch>) =
        config.watches.into_iter().partition(|watch| watch.cross_datacenter);
    let mut watching = Watching::new(Arc::clone(&client), reporter);
    for watch in within {
        let datacenter = watch.datacenter.clone();
        watching.start(watch, &datacenter);
    }
    if across.is_empty() {
        return std::future::pending().await;
    }
    loop {
        let datacenters = datacenters(&client).await;
        info!(?datacenters, "consul datacenters");
        watching.keep(&across, &datacenters).await;
        if config.datacenter_interval.is_zero() {
            return std::future::pending().await;
        }
        sleep(config.datacenter_interval).await;
    }
}

/// The datacenters that Consul knows, when it answers.
async fn datacenters(client: &Client) -> Vec<String> {
    let mut backoff = Backoff::default();
    loop {
        match ask_for_datacenters(client).await {
            Ok(datacenters) => return datacenters,
            Err(error) => warn!(%error, "could not acquire datacenters, trying again"),
        }
        backoff.wait().await;
    }
}

async fn ask_for_datacenters(client: &Client) -> Result<Vec<String>, ConsulError> {
    let answer = client.send(Query::new(Method::GET, "/v1/catalog/datacenters".to_owned())).await?;
    Ok(consul::datacenters(&answer.body)?)
}
