//! Keeps one registration in force as long as the gateway is to be registered, and withdraws it when it is not.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::Method;
use jiff::Timestamp;
use serde_json::json;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep};
use tracing::{error, info, warn};

use super::client::{Client, ConsulError, Query, escaped};
use super::config::{Heartbeat, Registration};
use crate::discovery::backoff::Backoff;
use crate::discovery::registrations::Registrations;

/// How often the agent is asked whether it still knows the registration: it may have been restarted without its data.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// One registration.
struct Task {
    client: Arc<Client>,
    registration: Registration,
    registrations: Registrations,
    /// What it is called in log lines and metrics.
    instance: String,
}

/// Why a registration is no longer in force.
enum End {
    /// It is to be withdrawn.
    NotWanted,
    /// The agent does not know it, or not all of its checks.
    Lost,
}

/// Runs until it is dropped.
pub(super) async fn run(client: Arc<Client>, registration: Registration, registrations: Registrations) {
    let instance = registration.instance.clone().unwrap_or_else(|| registration.id.clone());
    let mut task = Task { client, registration, registrations, instance };
    loop {
        task.registrations.wanted(true).await;
        task.register().await;
        let in_force = task.registrations.in_force(&task.instance);
        loop {
            match task.hold().await {
                End::NotWanted => break,
                End::Lost => {
                    warn!(
                        id = task.registration.id,
                        instance = task.instance,
                        "consul does not know this registration any more, registering again"
                    );
                    task.register().await;
                }
            }
        }
        task.deregister().await;
        drop(in_force);
    }
}

impl Task {
    /// Registers, however long it takes. A registration that is no longer wanted is withdrawn afterwards.
    async fn register(&self) {
        let mut backoff = Backoff::default();
        let mut has_failed = false;
        loop {
            match self.try_register().await {
                Ok(()) => {
                    info!(id = self.registration.id, instance = self.instance, "registered at consul");
                    return;
                }
                Err(error) if !has_failed => {
                    has_failed = true;
                    error!(id = self.registration.id, instance = self.instance, %error, "cannot register at consul, trying again: no device and no request is sent here by the fleet");
                }
                Err(_) => {}
            }
            backoff.wait().await;
        }
    }

    async fn try_register(&self) -> Result<(), ConsulError> {
        let mut query = Query::new(Method::PUT, "/v1/agent/service/register".to_owned());
        query.body = Some(Bytes::from(self.registration.body.to_string()));
        self.client.send(query).await?;
        for heartbeat in &self.registration.heartbeats {
            self.beat(heartbeat).await?;
        }
        Ok(())
    }

    /// Reports that the gateway is well, until the registration is no longer wanted or known.
    async fn hold(&mut self) -> End {
        let client = Arc::clone(&self.client);
        let mut wanted = self.registrations.clone();
        let beats: Vec<_> =
            self.registration.heartbeats.iter().map(|heartbeat| self.beat_on(heartbeat).boxed()).collect();
        let beats = async {
            if beats.is_empty() {
                return pending().await;
            }
            futures_util::future::select_all(beats).await;
        };
        tokio::select! {
            biased;
            () = wanted.wanted(false) => End::NotWanted,
            () = beats => End::Lost,
            () = lost(&client, &self.registration.id) => End::Lost,
        }
    }

    /// Reports that the gateway is well, again and again, until the agent does not know the check.
    async fn beat_on(&self, heartbeat: &Heartbeat) {
        let period = (heartbeat.ttl / 2).max(Duration::from_millis(1));
        let mut ticks = interval_at(Instant::now() + period, period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut failures = 0_u32;
        loop {
            ticks.tick().await;
            match self.beat(heartbeat).await {
                Ok(()) if failures > 0 => {
                    info!(
                        check_id = heartbeat.check_id,
                        failures, "consul accepts the reports of this check again"
                    );
                    failures = 0;
                }
                Ok(()) => {}
                Err(error) if is_unknown_check(&error) => return,
                Err(error) => {
                    failures += 1;
                    if failures == 1 {
                        warn!(check_id = heartbeat.check_id, %error, "cannot report to consul that the gateway is well");
                    }
                }
            }
        }
    }

    async fn beat(&self, heartbeat: &Heartbeat) -> Result<(), ConsulError> {
        let now = Timestamp::now().strftime("%Y-%m-%d %H:%M:%S%.f +0000 UTC");
        let output = format!("{} passed at {now}", self.registration.id);
        let path = format!("/v1/agent/check/update/{}", escaped(&heartbeat.check_id));
        let mut query = Query::new(Method::PUT, path);
        query.body = Some(Bytes::from(json!({"Status": "passing", "Output": output}).to_string()));
        self.client.send(query).await.map(drop)
    }

    /// Withdraws the registration. Gives up when it is wanted again, or refused.
    async fn deregister(&mut self) {
        let id = self.registration.id.as_str();
        let mut backoff = Backoff::default();
        while !self.registrations.is_wanted() {
            let path = format!("/v1/agent/service/deregister/{}", escaped(id));
            match self.client.send(Query::new(Method::PUT, path)).await {
                Ok(_) => {
                    info!(id, instance = self.instance, "deregistered at consul");
                    return;
                }
                Err(error) if error.is_not_found() => return,
                Err(error) => warn!(id, %error, "cannot deregister at consul, trying again"),
            }
            backoff.wait().await;
        }
    }
}

/// Waits until the agent does not know the registration.
async fn lost(client: &Client, id: &str) {
    loop {
        sleep(LOOK_EVERY).await;
        let path = format!("/v1/agent/service/{}", escaped(id));
        if client.send(Query::new(Method::GET, path)).await.is_err_and(|error| error.is_not_found()) {
            return;
        }
    }
}

/// Agents before 1.11 answer with 500 where later ones answer with 404.
fn is_unknown_check(error: &ConsulError) -> bool {
    error.is_not_found() || matches!(error, ConsulError::Status { text, .. } if text.contains("nknown check"))
}
