//! The phases of the benchmark, in the order in which they run: start at [`Bench::run`].

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, interval, sleep};

use super::costs::Stopwatch;
use super::error::BenchError;
use super::open_loop::{self, Schedule};
use super::options::Options;
use super::pace::Pace;
use super::report::{Connect, Disconnect, EndResult, Events, Idle, Parameters, Report, Requests};
use super::requests;
use crate::fleet::SendError;
use crate::process::Settled;
use crate::progress;
use crate::sink::{Sink, SinkCounts};
use crate::testbed::{Api, Testbed, TestbedError};
use crate::traffic::Traffic;

/// Devices of the warm-up, unless a tenth of all is less.
pub(super) const WARM_UP_DEVICES: usize = 100;

/// Events of the warm-up, unless a tenth of all is less.
pub(super) const WARM_UP_EVENTS: u64 = 2000;

/// The time limit for online and offline events, and for the devices' connections to close.
const ARRIVAL_TIMEOUT: Duration = Duration::from_secs(15);

/// How long to wait for acknowledgements and duplicates after all events have arrived.
const LATE_ARRIVALS: Duration = Duration::from_secs(1);

/// The interval of the checks whether everything has arrived.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// A benchmark on its testbed.
pub(super) struct Bench<'a> {
    pub(super) options: &'a Options,
    pub(super) testbed: &'a Testbed,
    /// How fast events are sent.
    pub(super) pace: Pace,
}

impl Bench<'_> {
    /// All phases.
    pub(super) async fn run(&self) -> Result<Report, BenchError> {
        let Options { events, requests, .. } = *self.options;
        let devices = self.options.testbed.devices;
        let api = self.testbed.gateway.api.as_ref();
        let parameters = Parameters {
            devices,
            warm_up_devices: WARM_UP_DEVICES.min(devices / 10),
            events,
            warm_up_events: WARM_UP_EVENTS.min(events / 10),
            size: self.options.testbed.size,
            window: self.options.window,
            qos: self.options.testbed.qos.to_string(),
            requests: if api.is_some() { requests } else { 0 },
            requesting: self.options.requesting,
        };
        let before = self.warm_up(parameters.warm_up_devices).await?;
        let connect = self.connect(parameters.warm_up_devices).await?;
        let after = self.settle().await?;
        let events = self.events(parameters.warm_up_events).await?;
        let requests = match api {
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
            run: self.testbed.ledger.run().to_string(),
            pid: self.testbed.gateway.process.pid(),
            parameters,
            connect,
            idle,
            events,
            requests,
            disconnect,
            exit_code: None,
        })
    }

    /// Connects the first devices, and returns the gateway's memory after that.
    pub(super) async fn warm_up(&self, devices: usize) -> Result<Settled, BenchError> {
        let connected = self.testbed.fleet.connect(0..devices, || ()).await;
        if devices > 0 && connected.online == 0 {
            return Err(BenchError::NoDevices(connected.error));
        }
        self.online_events(connected.online as u64).await;
        Ok(self.settle().await?)
    }

    pub(super) async fn connect(&self, warm_up: usize) -> Result<Connect, BenchError> {
        let Testbed { fleet, far_ends, .. } = self.testbed;
        let devices = self.options.testbed.devices;
        let bar = progress::bar("connecting", devices as u64);
        bar.set_position(warm_up as u64);
        let watch = self.stopwatch()?;
        let connected = fleet.connect(warm_up..devices, || bar.inc(1)).await;
        let seconds = watch.seconds();
        let online = fleet.snapshot().connects;
        if online == 0 {
            return Err(BenchError::NoDevices(connected.error));
        }
        self.online_events(online).await;
        Ok(Connect {
            devices: connected.online,
            failed: devices - usize::try_from(online).unwrap_or(devices),
            error: connected.error,
            seconds,
            costs: watch.costs_each(connected.online as u64)?,
            latency: fleet.connect_latency(),
            online_http: far_ends.http().map(|sink| sink.counts().online),
            online_kafka: far_ends.kafka().map(|sink| sink.counts().online),
        })
    }

    pub(super) async fn events(&self, warm_up: u64) -> Result<Events, BenchError> {
        let Testbed { fleet, ledger, far_ends, .. } = self.testbed;
        let events = self.options.events;
        let (size, qos) = (self.options.testbed.size, self.options.testbed.qos);
        let mut traffic = Traffic::new(Arc::clone(fleet), Arc::clone(ledger), size, qos);
        self.send(&mut traffic, warm_up).await?;
        self.acks().await;
        let (before, unsent) = (ledger.counts(), fleet.snapshot().unsent);
        let latency = |sink: &Sink| sink.latency().recent();
        // The latencies up to here belong to the warm-up.
        let _ = (far_ends.http().map(latency), far_ends.kafka().map(latency));
        let _ = fleet.recent_ack_latency();

        let watch = self.stopwatch()?;
        self.send(&mut traffic, events).await?;
        let seconds = watch.seconds();
        self.acks().await;
        let costs = watch.costs_each(events)?;
        sleep(LATE_ARRIVALS).await;

        let after = ledger.counts();
        let snapshot = fleet.snapshot();
        let strange = |sink: Option<&Sink>| {
            sink.map(Sink::counts).map_or(0, |SinkCounts { foreign, undecodable, .. }| foreign + undecodable)
        };
        let end = |sink: Option<&Sink>, before, after| {
            sink.map(|sink| EndResult::between(before, after, latency(sink)))
        };
        Ok(Events {
            sent: after.sent - before.sent,
            unsent: snapshot.unsent - unsent,
            seconds,
            per_second: (after.sent - before.sent) as f64 / seconds.max(f64::EPSILON),
            costs,
            http: end(far_ends.http(), before.http, after.http),
            kafka: end(far_ends.kafka(), before.kafka, after.kafka),
            ack: EndResult::acks_between(&before, &after, fleet.recent_ack_latency()),
            acks_by_rdr: snapshot.acks,
            strange: strange(far_ends.http()) + strange(far_ends.kafka()),
        })
    }

    /// Sends events at the pace of this run, and waits until each is done or given up.
    async fn send(&self, traffic: &mut Traffic, events: u64) -> Result<(), BenchError> {
        let ledger = &self.testbed.ledger;
        let bar = progress::bar("events", events);
        let give_up = async {
            let mut ticks = interval(Duration::from_secs(1));
            loop {
                ticks.tick().await;
                ledger.expire(self.options.testbed.give_up);
                bar.set_position(ledger.counts().sent.min(events));
            }
        };
        let send = async {
            match self.pace {
                Pace::FlatOut => {
                    for _ in 0..events {
                        ledger.acquire_slot().await;
                        traffic.send_one().map_err(no_devices)?;
                    }
                }
                Pace::PerSecond(rate) => {
                    open_loop::send(traffic, Schedule::all(rate, events)).map_err(no_devices)?;
                }
            }
            let is_open = || {
                let counts = ledger.counts();
                counts.sent > counts.done + counts.expired
            };
            while is_open() {
                sleep(POLL_INTERVAL).await;
            }
            Ok(())
        };
        tokio::select! {
            () = give_up => Ok(()),
            sent = send => sent,
        }
    }

    pub(super) async fn requests(&self, api: &Api) -> Result<Requests, BenchError> {
        let count = self.options.requests;
        let bar = progress::bar("requests", count);
        let requests = requests::Requests {
            api: api.clone(),
            tls: self.testbed.gateway.tls.clone().filter(|_| api.is_tls()),
            auth: self.options.testbed.auth.clone(),
            run: self.testbed.ledger.run(),
            count,
            connections: self.options.requesting,
            timeout: self.options.testbed.give_up,
        };
        let watch = self.stopwatch()?;
        let responses = requests.run(Arc::clone(&self.testbed.fleet), move || bar.inc(1)).await;
        let seconds = watch.seconds();
        let failed = responses.failed.lock().clone();
        Ok(Requests {
            sent: count,
            answered: count - failed.values().sum::<u64>(),
            failed,
            seconds,
            costs: watch.costs_each(count)?,
            latency: responses.latency.total(),
        })
    }

    pub(super) async fn disconnect(&self) -> Result<Disconnect, BenchError> {
        let Testbed { fleet, far_ends, .. } = self.testbed;
        let devices = fleet.snapshot().online;
        let watch = self.stopwatch()?;
        let cut = fleet.stop(ARRIVAL_TIMEOUT).await;
        self.until(ARRIVAL_TIMEOUT, || far_ends.all(|counts| counts.offline >= devices)).await;
        Ok(Disconnect {
            devices,
            cut,
            costs: watch.costs_each(devices)?,
            offline_http: far_ends.http().map(|sink| sink.counts().offline),
            offline_kafka: far_ends.kafka().map(|sink| sink.counts().offline),
        })
    }

    /// Waits until the online events of `devices` devices have arrived.
    async fn online_events(&self, devices: u64) {
        let far_ends = &self.testbed.far_ends;
        self.until(ARRIVAL_TIMEOUT, || far_ends.all(|counts| counts.online >= devices)).await;
    }

    /// Waits for the last acknowledgements, which may come after the events have arrived everywhere.
    async fn acks(&self) {
        let ledger = &self.testbed.ledger;
        self.until(LATE_ARRIVALS, || ledger.counts().ack.lost_assured() == 0).await;
    }

    pub(super) async fn settle(&self) -> Result<Settled, TestbedError> {
        let _spinner = progress::spinner("waiting for the gateway's memory to settle");
        let process = self.testbed.gateway.process;
        let settled = process.settle(self.options.settle).await;
        settled.map_err(|source| TestbedError::of_process(process, source))
    }

    /// Waits until `condition` is true, at most for `timeout`.
    async fn until(&self, timeout: Duration, condition: impl Fn() -> bool) {
        let deadline = Instant::now() + timeout;
        while !condition() && Instant::now() < deadline {
            sleep(POLL_INTERVAL).await;
        }
    }

    pub(super) fn stopwatch(&self) -> Result<Stopwatch, BenchError> {
        Stopwatch::start(self.testbed.gateway.process, self.options.count)
    }
}

fn no_devices(error: SendError) -> BenchError {
    BenchError::NoDevices(Some(error.to_string()))
}
