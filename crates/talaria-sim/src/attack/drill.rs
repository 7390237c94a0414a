//! One drill on its testbed: traffic without attackers, then with them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, interval, sleep, timeout};

use super::attacker::Attacker;
use super::attempt::Attempt;
use super::counts::AttemptCounters;
use super::error::AttackError;
use super::kind::Kind;
use super::metrics::Scrape;
use super::options::Options;
use super::report::{EventLatency, KindResult, Memory, Report, Series};
use super::silent_host::SilentHost;
use crate::run::RunId;
use crate::sink::Sink;
use crate::testbed::{Testbed, TestbedError};
use crate::traffic::Traffic;

/// How long events flow before their latency is measured.
const WARM_UP: Duration = Duration::from_secs(2);

/// The interval at which the gateway's memory and the events in flight are read.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// How many times as long as wanted the attack lasts at most.
const EXTENSION: u32 = 5;

/// The time limit for the devices' connections to close.
const STOP_TIMEOUT: Duration = Duration::from_secs(15);

pub(super) struct Drill<'a> {
    pub(super) options: &'a Options,
    pub(super) testbed: &'a Testbed,
    /// The address of the gateway's metrics server.
    pub(super) metrics: SocketAddr,
}

impl Drill<'_> {
    pub(super) async fn run(&self) -> Result<Report, AttackError> {
        let Testbed { fleet, ledger, gateway, .. } = self.testbed;
        let devices = self.options.testbed.devices;
        let connected = fleet.connect(0..devices, || ()).await;
        if connected.failed > 0 {
            let error = connected.error.unwrap_or_default();
            return Err(AttackError::Fleet { failed: connected.failed, devices, error });
        }
        let mut traffic = JoinSet::new();
        traffic.spawn(self.traffic().run(self.options.rate));

        sleep(WARM_UP).await;
        self.latency();
        sleep(self.options.lasts).await;
        let calm = self.latency();
        let before = Scrape::of(self.metrics).await?;

        let mut memory =
            Memory { before: self.resident()?, allowed: self.options.may_grow << 20, ..Memory::default() };
        let attempts = self.attack(&before, &mut memory).await?;
        let attacked = self.latency();
        let disconnects = fleet.snapshot().disconnects;
        let after = Scrape::of(self.metrics).await?;
        let series = Series { before: before.len(), after: after.len() };
        let increases = after.since(&before);

        traffic.shutdown().await;
        self.wait_for_events().await;
        let counts = ledger.counts();
        memory.after = self.resident()?;
        fleet.stop(STOP_TIMEOUT).await;
        let is_tls = gateway.target.is_tls;
        let result =
            |kind| KindResult { kind, done: attempts.of(kind), counted: increases.of_kind(kind, is_tls) };
        Ok(Report {
            devices,
            lost_devices: disconnects,
            attackers: self.options.attackers,
            seconds: self.options.lasts.as_secs_f64(),
            events: counts.sent,
            lost_events: counts.expired,
            calm,
            attacked,
            memory,
            series,
            kinds: Kind::ALL.into_iter().map(result).collect(),
            exit_code: None,
        })
    }

    fn traffic(&self) -> Traffic {
        let Testbed { fleet, ledger, .. } = self.testbed;
        let options = &self.options.testbed;
        Traffic::new(Arc::clone(fleet), Arc::clone(ledger), options.size, options.qos)
    }

    /// Runs the attackers, and records the gateway's peak memory meanwhile. On a busy machine it takes longer until the
    /// gateway has counted something of each kind.
    async fn attack(
        &self,
        before: &Scrape,
        memory: &mut Memory,
    ) -> Result<Arc<AttemptCounters>, AttackError> {
        let gateway = &self.testbed.gateway;
        let counters = Arc::new(AttemptCounters::default());
        let mut attackers = JoinSet::new();
        let run = RunId::random();
        let silent_host = SilentHost::start().await.map_err(AttackError::SilentHost)?;
        for index in 0..self.options.attackers {
            let attempt = Attempt {
                kind: Kind::ALL[index % Kind::ALL.len()],
                target: gateway.target.clone(),
                tls: gateway.tls.clone().filter(|_| gateway.target.is_tls),
                auth: self.options.testbed.auth.clone(),
                device_id: run.device_id(index),
                silent_host: silent_host.address,
            };
            let attacker = Attacker { attempt, pause: self.options.pause, counters: Arc::clone(&counters) };
            attackers.spawn(attacker.run());
        }
        let (until, at_most) =
            (Instant::now() + self.options.lasts, Instant::now() + EXTENSION * self.options.lasts);
        let mut ticks = interval(POLL_INTERVAL);
        while Instant::now() < until || (Instant::now() < at_most && !self.has_counted_all(before).await?) {
            ticks.tick().await;
            memory.peak = memory.peak.max(self.resident()?);
        }
        attackers.shutdown().await;
        Ok(counters)
    }

    /// Whether the gateway has counted attacks of each kind.
    async fn has_counted_all(&self, before: &Scrape) -> Result<bool, AttackError> {
        let is_tls = self.testbed.gateway.target.is_tls;
        let increases = Scrape::of(self.metrics).await?.since(before);
        let is_counted = |kind: Kind| increases.of_kind(kind, is_tls).iter().any(|counted| counted.count > 0);
        Ok(Kind::ALL.into_iter().take(self.options.attackers).all(is_counted))
    }

    /// Waits until all events have arrived, at most for the time of `--give-up`. Those that are missing then are lost.
    async fn wait_for_events(&self) {
        let ledger = &self.testbed.ledger;
        let all_arrived = async {
            loop {
                let counts = ledger.counts();
                if counts.done >= counts.sent {
                    return;
                }
                sleep(POLL_INTERVAL).await;
            }
        };
        let _ = timeout(self.options.testbed.give_up, all_arrived).await;
        ledger.expire(Duration::ZERO);
    }

    /// The latency of the events that arrived since the last call.
    fn latency(&self) -> EventLatency {
        let far_ends = &self.testbed.far_ends;
        let recent = |sink: Option<&Sink>| sink.map(|sink| sink.latency().recent());
        EventLatency { http: recent(far_ends.http()), kafka: recent(far_ends.kafka()) }
    }

    /// The gateway's resident memory.
    fn resident(&self) -> Result<u64, TestbedError> {
        let process = self.testbed.gateway.process;
        process.resident().map_err(|source| TestbedError::of_process(process, source))
    }
}
