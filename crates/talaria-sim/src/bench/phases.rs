//! The phases, one after the other.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, interval, sleep};

use super::far_ends::FarEnds;
use super::report::{Connect, Disconnect, End, Events, Idle, Parameters, Report, Requests};
use super::requests::{self, Api};
use super::{ARRIVES_WITHIN, BenchError, Options};
use crate::fleet::Fleet;
use crate::ledger::Ledger;
use crate::process::{Process, Settled};
use crate::progress;
use crate::sink::{Sink, SinkCounts};
use crate::tls::Tls;
use crate::traffic::Traffic;

/// Devices of the warm-up, unless there are few in all.
const WARM_UP_DEVICES: usize = 100;

/// Events of the warm-up, unless there are few in all.
const WARM_UP_EVENTS: u64 = 2000;

/// How long to go on looking for acks and duplicates when all events have arrived.
const STRAGGLES_WITHIN: Duration = Duration::from_secs(1);

/// How often to look whether all has arrived.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// All that the phases need.
pub(super) struct Bench<'a> {
    pub(super) options: &'a Options,
    pub(super) ledger: Arc<Ledger>,
    pub(super) far_ends: FarEnds,
    pub(super) fleet: Arc<Fleet>,
    pub(super) process: Process,
    pub(super) api: Option<Api>,
    /// How the API speaks TLS, if it does.
    pub(super) tls: Option<Tls>,
}

/// The gateway's CPU clock, and ours, at the beginning of a phase.
struct Stopwatch {
    process: Process,
    cpu: Duration,
    time: Instant,
}

impl Bench<'_> {
    pub(super) async fn run(&self) -> Result<Report, BenchError> {
        let Options { devices, events, requests, .. } = *self.options;
        let parameters = Parameters {
            devices,
            warm_up_devices: WARM_UP_DEVICES.min(devices / 10),
            events,
            warm_up_events: WARM_UP_EVENTS.min(events / 10),
            size: self.options.size,
            window: self.options.window,
            qos: self.options.qos.to_string(),
            requests: if self.api.is_some() { requests } else { 0 },
            requesting: self.options.requesting,
        };
        let before = self.warm_up(parameters.warm_up_devices).await?;
        let connect = self.connect(parameters.warm_up_devices).await?;
        let after = self.settle().await?;
        let events = self.events(parameters.warm_up_events).await?;
        let requests = match &self.api {
            Some(api) if requests > 0 => Some(self.requests(api).await?),
            _ => None,
        };
        let after_traffic = self.settle().await?;
        let per_device =
            |now: Settled| (now.resident as f64 - before.resident as f64) / connect.devices.max(1) as f64;
        let idle = Idle {
            before: before.resident,
            after: after.resident,
            bytes_per_device: per_device(after),
            settled: before.stable && after.stable,
            after_traffic: after_traffic.resident,
            bytes_per_device_after_traffic: per_device(after_traffic),
        };
        let disconnect = self.disconnect().await?;
        Ok(Report {
            run: self.ledger.run().to_string(),
            pid: self.process.pid(),
            parameters,
            connect,
            idle,
            events,
            requests,
            disconnect,
            exit_code: None,
        })
    }

    /// Connects the first devices and returns what memory the gateway has then.
    async fn warm_up(&self, devices: usize) -> Result<Settled, BenchError> {
        let connected = self.fleet.connect(0..devices, || ()).await;
        if devices > 0 && connected.online == 0 {
            return Err(BenchError::NoDevices(connected.error));
        }
        self.online_events(connected.online as u64).await;
        self.settle().await
    }

    async fn connect(&self, warm_up: usize) -> Result<Connect, BenchError> {
        let devices = self.options.devices;
        let bar = progress::bar("connecting", devices as u64);
        bar.set_position(warm_up as u64);
        let watch = Stopwatch::start(self.process)?;
        let connected = self.fleet.connect(warm_up..devices, || bar.inc(1)).await;
        let seconds = watch.seconds();
        let online = self.fleet.snapshot().connects;
        if online == 0 {
            return Err(BenchError::NoDevices(connected.error));
        }
        self.online_events(online).await;
        Ok(Connect {
            devices: connected.online,
            failed: devices - usize::try_from(online).unwrap_or(devices),
            error: connected.error,
            seconds,
            cpu_us: watch.cpu_us_each(connected.online as u64)?,
            latency: self.fleet.connect_latency(),
            online_http: self.far_ends.http().map(|sink| sink.counts().online),
            online_kafka: self.far_ends.kafka().map(|sink| sink.counts().online),
        })
    }

    async fn events(&self, warm_up: u64) -> Result<Events, BenchError> {
        let Options { size, qos, events, .. } = *self.options;
        let mut traffic = Traffic::new(Arc::clone(&self.fleet), Arc::clone(&self.ledger), size, qos);
        self.send(&mut traffic, warm_up).await?;
        self.acks().await;
        let (before, unsent) = (self.ledger.counts(), self.fleet.snapshot().unsent);
        let latency = |sink: &Sink| sink.latency().recent();
        // what was recorded up to here is the warm-up's
        let _ = (self.far_ends.http().map(latency), self.far_ends.kafka().map(latency));
        let _ = self.fleet.recent_ack_latency();

        let watch = Stopwatch::start(self.process)?;
        self.send(&mut traffic, events).await?;
        let seconds = watch.seconds();
        self.acks().await;
        let cpu_us = watch.cpu_us_each(events)?;
        sleep(STRAGGLES_WITHIN).await;

        let after = self.ledger.counts();
        let snapshot = self.fleet.snapshot();
        let strange = |sink: Option<&Sink>| {
            sink.map(Sink::counts).map_or(0, |SinkCounts { foreign, undecodable, .. }| foreign + undecodable)
        };
        let end =
            |sink: Option<&Sink>, before, after| sink.map(|sink| End::between(before, after, latency(sink)));
        Ok(Events {
            sent: after.sent - before.sent,
            unsent: snapshot.unsent - unsent,
            seconds,
            per_second: (after.sent - before.sent) as f64 / seconds.max(f64::EPSILON),
            cpu_us,
            http: end(self.far_ends.http(), before.http, after.http),
            kafka: end(self.far_ends.kafka(), before.kafka, after.kafka),
            ack: End::acks_between(&before, &after, self.fleet.recent_ack_latency()),
            acks_by_rdr: snapshot.acks,
            strange: strange(self.far_ends.http()) + strange(self.far_ends.kafka()),
        })
    }

    /// Sends events, a window of them at a time, and waits until the last is done or given up.
    async fn send(&self, traffic: &mut Traffic, events: u64) -> Result<(), BenchError> {
        let bar = progress::bar("events", events);
        let give_up = async {
            let mut ticks = interval(Duration::from_secs(1));
            loop {
                ticks.tick().await;
                self.ledger.expire(self.options.give_up);
                bar.set_position(self.ledger.counts().sent.min(events));
            }
        };
        let send = async {
            for _ in 0..events {
                self.ledger.room().await;
                traffic.send_one().map_err(|error| BenchError::NoDevices(Some(error.to_string())))?;
            }
            let open = || {
                let counts = self.ledger.counts();
                counts.sent > counts.done + counts.expired
            };
            while open() {
                sleep(LOOK_EVERY).await;
            }
            Ok(())
        };
        tokio::select! {
            () = give_up => Ok(()),
            sent = send => sent,
        }
    }

    async fn requests(&self, api: &Api) -> Result<Requests, BenchError> {
        let count = self.options.requests;
        let bar = progress::bar("requests", count);
        let requests = requests::Requests {
            api: api.clone(),
            tls: self.tls.clone().filter(|_| api.is_tls()),
            auth: self.options.auth.clone(),
            run: self.ledger.run(),
            count,
            at_a_time: self.options.requesting,
            within: self.options.give_up,
        };
        let watch = Stopwatch::start(self.process)?;
        let answers = requests.run(Arc::clone(&self.fleet), move || bar.inc(1)).await;
        let seconds = watch.seconds();
        let failed = answers.failed.lock().clone();
        Ok(Requests {
            sent: count,
            answered: count - failed.values().sum::<u64>(),
            failed,
            seconds,
            cpu_us: watch.cpu_us_each(count)?,
            latency: answers.latency.total(),
        })
    }

    async fn disconnect(&self) -> Result<Disconnect, BenchError> {
        let devices = self.fleet.snapshot().online;
        let watch = Stopwatch::start(self.process)?;
        let cut = self.fleet.stop(ARRIVES_WITHIN).await;
        self.until(ARRIVES_WITHIN, || self.far_ends.all(|counts| counts.offline >= devices)).await;
        Ok(Disconnect {
            devices,
            cut,
            cpu_us: watch.cpu_us_each(devices)?,
            offline_http: self.far_ends.http().map(|sink| sink.counts().offline),
            offline_kafka: self.far_ends.kafka().map(|sink| sink.counts().offline),
        })
    }

    /// Waits until the online events of so many devices have arrived.
    async fn online_events(&self, devices: u64) {
        self.until(ARRIVES_WITHIN, || self.far_ends.all(|counts| counts.online >= devices)).await;
    }

    /// Waits a moment for the last acks, which may come after all is done.
    async fn acks(&self) {
        self.until(STRAGGLES_WITHIN, || self.ledger.counts().ack.lost_assured() == 0).await;
    }

    async fn settle(&self) -> Result<Settled, BenchError> {
        let _spinner = progress::spinner("waiting for the gateway's memory to settle");
        self.process.settle(self.options.settle).await.map_err(|source| failed(self.process, source))
    }

    /// Waits for `enough`, but no longer than `within`.
    async fn until(&self, within: Duration, enough: impl Fn() -> bool) {
        let deadline = Instant::now() + within;
        while !enough() && Instant::now() < deadline {
            sleep(LOOK_EVERY).await;
        }
    }
}

impl Stopwatch {
    fn start(process: Process) -> Result<Self, BenchError> {
        let cpu = process.cpu_time().map_err(|source| failed(process, source))?;
        Ok(Self { process, cpu, time: Instant::now() })
    }

    fn seconds(&self) -> f64 {
        self.time.elapsed().as_secs_f64()
    }

    /// CPU time since the start, in microseconds, shared out among so many.
    fn cpu_us_each(&self, count: u64) -> Result<f64, BenchError> {
        let now = self.process.cpu_time().map_err(|source| failed(self.process, source))?;
        Ok((now - self.cpu).as_secs_f64() * 1e6 / count.max(1) as f64)
    }
}

fn failed(process: Process, source: std::io::Error) -> BenchError {
    BenchError::Process { pid: process.pid(), source }
}
