//! The row `fleet`: several gateways with more devices than one process may open files for, and as many load processes.
//!
//! All devices stay connected while they send events at a steady rate. The figures are sums over the gateways, for one device or
//! one event. Start at [`measure`].

use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::error::RowsError;
use super::figures::{Figures, Outcome};
use super::kernel;
use crate::bench::error::BenchError;
use crate::bench::load::{Assignment, Loads, Sent};
use crate::bench::open_loop::Schedule;
use crate::bench::options::Options;
use crate::bench::phases::{WARM_UP_DEVICES, WARM_UP_EVENTS};
use crate::bench::rows::measurement::PACE_TOLERANCE;
use crate::process::{Process, Settled};
use crate::run::RunId;
use crate::tally::Totals;
use crate::testbed::{Gateways, TestbedError, check_files};

/// The QoS of the events: acknowledged when both sinks have them.
const QOS: i64 = 80;

/// How long an online event may take. Many devices connect at the same time.
const ONLINE_TIMEOUT: Duration = Duration::from_secs(60);

/// The time in which duplicates may arrive after the last event.
const LATE_ARRIVALS: Duration = Duration::from_secs(1);

/// The interval of the checks whether everything has arrived.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Measures the row.
///
/// # Errors
/// If it cannot be measured. Losses are no error, but an [`Outcome`].
pub(super) async fn measure(options: &Options, program: &Path) -> Result<Outcome, RowsError> {
    let share = Share { devices: options.testbed.devices, of: options.gateways() };
    check_files(share.largest())?;
    let first = RunId::random();
    let run = |index: usize| first.after(u32::try_from(index).unwrap_or(u32::MAX));
    let gateways = Gateways::start(&options.testbed, program, (0..share.of).map(run)).await?;
    let mut loads = Loads::default();
    for (index, gateway) in gateways.gateways.iter().enumerate() {
        let assignment = Assignment {
            gateway: gateway.target.address,
            run: run(index),
            devices: share.of_gateway(index),
            // As many as with one gateway, since the machine is the same.
            connecting: options.testbed.connecting.div_ceil(share.of),
            event_bytes: options.testbed.size,
            qos: QOS,
            give_up: options.testbed.give_up,
        };
        loads.start(options.load_place, &assignment).await?;
    }
    let mut fleet = Fleet { options, share, gateways, loads };
    let outcome = fleet.measured().await?;
    // The devices leave, as in the field, before the gateways are asked to end.
    let _ = fleet.loads.stop().await?;
    let codes = fleet.gateways.stop().await?;
    Ok(match (outcome, codes.into_iter().find(|code| *code != 0)) {
        (Outcome::Figures(_), Some(code)) => {
            Outcome::NotClean(format!("a gateway ended with exit code {code}"))
        }
        (outcome, _) => outcome,
    })
}

/// How devices are divided among gateways.
#[derive(Debug, Clone, Copy)]
struct Share {
    devices: usize,
    of: usize,
}

impl Share {
    fn of_gateway(self, index: usize) -> usize {
        (self.devices + self.of - 1 - index) / self.of
    }

    fn largest(self) -> usize {
        self.of_gateway(0)
    }

    /// Devices of a gateway that connect first, so that costs that occur only once are not counted.
    fn warm_up(self, index: usize) -> usize {
        WARM_UP_DEVICES.min(self.of_gateway(index) / 10)
    }

    fn warm_up_of_all(self) -> usize {
        (0..self.of).map(|index| self.warm_up(index)).sum()
    }
}

/// The gateways and their loads.
struct Fleet<'a> {
    options: &'a Options,
    share: Share,
    gateways: Gateways,
    loads: Loads,
}

impl Fleet<'_> {
    async fn measured(&mut self) -> Result<Outcome, RowsError> {
        let share = self.share;
        let mut figures = Figures::default();
        if let Some(fault) = self.connect(|index| 0..share.warm_up(index), share.warm_up_of_all()).await? {
            return Ok(Outcome::NotClean(fault));
        }
        let before = self.settle().await?;
        let kernel_before = kernel::memory();

        let connecting = (Instant::now(), self.cpu_time()?);
        let rest = |index| share.warm_up(index)..share.of_gateway(index);
        if let Some(fault) = self.connect(rest, share.devices).await? {
            return Ok(Outcome::NotClean(fault));
        }
        let connected = (share.devices - share.warm_up_of_all()).max(1) as f64;
        figures.add("connect_seconds", connecting.0.elapsed().as_secs_f64());
        figures.add("connect_cpu_us", (self.cpu_time()? - connecting.1).as_secs_f64() * 1e6 / connected);

        let idle = self.settle().await?;
        if !(before.stable && idle.stable) {
            return Ok(Outcome::NotClean("the gateways' memory did not stop changing".to_owned()));
        }
        let each = |before: u64, after: u64| (after as f64 - before as f64) / connected;
        let process = each(before.resident, idle.resident);
        figures.add("devices", share.devices as f64);
        figures.add("bytes", process);
        if let (Some(before), Some(after)) = (kernel_before, kernel::memory()) {
            // The other half is that of the simulated devices.
            let kernel = each(before, after) / 2.0;
            figures.add("kernel_bytes", kernel);
            figures.add("all_told_bytes", process + kernel);
        }

        let rate = self.options.fleet_rate;
        let events = (self.options.run_for.as_secs_f64() * f64::from(rate)).ceil() as u64;
        self.loads.send(Schedule::all(rate, WARM_UP_EVENTS.min(events / 10))).await?;
        let (started, cpu) = (Instant::now(), self.cpu_time()?);
        let sent = self.loads.send(Schedule::all(rate, events)).await?;
        let cpu = self.cpu_time()? - cpu;
        let of_all: u64 = sent.iter().map(|sent| sent.counts.sent).sum();
        self.until(self.options.testbed.give_up, |totals| totals.events >= of_all).await;
        sleep(LATE_ARRIVALS).await;
        if let Some(fault) = self.fault(&sent, events) {
            return Ok(Outcome::NotClean(fault));
        }
        figures.add("events", events as f64);
        figures.add("per_second", events as f64 / longest(&sent).max(f64::EPSILON));
        // Pings and pongs are in it.
        figures.add("cpu_us", cpu.as_secs_f64() * 1e6 / events.max(1) as f64);
        figures.add("cores", cpu.as_secs_f64() / started.elapsed().as_secs_f64());
        figures.add("worst_ack_p50_ms", worst(&sent, |sent| sent.ack_latency.p50));
        figures.add("worst_ack_p99_ms", worst(&sent, |sent| sent.ack_latency.p99));
        let after_traffic = self.settle().await?;
        figures.add("bytes_after_traffic", each(before.resident, after_traffic.resident));
        Ok(Outcome::Figures(figures))
    }

    /// Connects devices, and waits until the online events of `all` devices have arrived. Returns a fault if they have not.
    async fn connect(
        &mut self,
        devices: impl Fn(usize) -> Range<usize>,
        all: usize,
    ) -> Result<Option<String>, RowsError> {
        let connected = self.loads.connect(devices).await?;
        let failed: usize = connected.iter().map(|connected| connected.failed).sum();
        if failed > 0 {
            let error = connected.into_iter().find_map(|connected| connected.error).unwrap_or_default();
            return Ok(Some(format!("{failed} devices did not connect: {error}")));
        }
        self.until(ONLINE_TIMEOUT, |totals| totals.online >= all as u64).await;
        let wrong = self.gateways.arrived().into_iter().find(|(_, totals)| totals.online != all as u64);
        Ok(wrong.map(|(name, totals)| {
            format!("{name}: {} online events arrived of {all} devices", totals.online)
        }))
    }

    /// Why the figures mean nothing: a device was lost, or an event was lost, duplicated, late, or not acknowledged as delivered.
    fn fault(&self, sent: &[Sent], expected: u64) -> Option<String> {
        let of_all = sent.iter().map(|sent| sent.counts.sent).sum();
        let far_end = |(name, totals)| fault_of_far_end(name, &totals, of_all);
        let here = sent.iter().zip(0..).find_map(|(sent, index)| fault_of_load(index, sent));
        here.or_else(|| self.gateways.arrived().into_iter().find_map(far_end)).or_else(|| {
            let due = expected as f64 / f64::from(self.options.fleet_rate);
            let took = longest(sent);
            let late = took - due - 1.0;
            (late > due * PACE_TOLERANCE).then(|| format!("the load of {due:.1} s took {took:.1} s"))
        })
    }

    /// Waits until the counts of both far ends satisfy `condition`, or nothing has arrived for `timeout`. The reader of the topic
    /// shares the machine with everything else, and may be behind.
    async fn until(&self, timeout: Duration, condition: impl Fn(&Totals) -> bool) {
        let (mut arrived, mut deadline) = (0, Instant::now() + timeout);
        loop {
            let ends = self.gateways.arrived();
            let now = ends.iter().map(|(_, totals)| totals.events + totals.online).sum();
            if now > arrived {
                (arrived, deadline) = (now, Instant::now() + timeout);
            }
            if ends.iter().all(|(_, totals)| condition(totals)) || Instant::now() >= deadline {
                return;
            }
            sleep(POLL_INTERVAL).await;
        }
    }

    /// The memory of all gateways, when it has stopped changing.
    async fn settle(&self) -> Result<Settled, RowsError> {
        let limit = self.options.settle;
        let mut settling = JoinSet::new();
        for process in self.processes() {
            settling.spawn(async move { (process, process.settle(limit).await) });
        }
        let mut all = Settled { resident: 0, stable: true };
        while let Some(Ok((process, settled))) = settling.join_next().await {
            let settled = settled.map_err(|source| TestbedError::of_process(process, source))?;
            all = Settled { resident: all.resident + settled.resident, stable: all.stable && settled.stable };
        }
        Ok(all)
    }

    /// The CPU time of all gateways.
    fn cpu_time(&self) -> Result<Duration, BenchError> {
        let one = |process: Process| {
            process.cpu_time().map_err(|source| TestbedError::of_process(process, source).into())
        };
        self.processes().map(one).sum()
    }

    fn processes(&self) -> impl Iterator<Item = Process> {
        self.gateways.gateways.iter().map(|gateway| gateway.process)
    }
}

/// Why the devices of a load process have had a fault.
fn fault_of_load(index: usize, sent: &Sent) -> Option<String> {
    let Sent { counts, devices, .. } = sent;
    if devices.disconnects > 0 || devices.protocol_errors > 0 {
        let lost = devices.disconnects;
        return Some(format!("{lost} devices of gateway {index} lost their connections"));
    }
    if devices.unsent > 0 || devices.undecodable > 0 {
        let (unsent, undecodable) = (devices.unsent, devices.undecodable);
        return Some(format!(
            "gateway {index}: {unsent} events could not be sent, {undecodable} messages were not WRP"
        ));
    }
    if counts.ack.lost > 0 || counts.ack.duplicated > 0 {
        let (lost, duplicated) = (counts.ack.lost, counts.ack.duplicated);
        return Some(format!("gateway {index}: {lost} acknowledgements were lost, {duplicated} duplicated"));
    }
    let (rdr, count) = devices.acks.iter().find(|(rdr, _)| **rdr != 0)?;
    Some(format!("gateway {index}: {count} acknowledgements had rdr {rdr}"))
}

/// Why a far end has had a fault, if `sent` events were sent.
fn fault_of_far_end(name: &str, totals: &Totals, sent: u64) -> Option<String> {
    let Totals { events, duplicated, offline, other, undecodable, .. } = *totals;
    if events != sent || duplicated > 0 {
        let lost = sent.saturating_sub(events);
        return Some(format!("{name}: {lost} events were lost, {duplicated} duplicated"));
    }
    if offline > 0 {
        return Some(format!("{name}: {offline} devices were reported offline"));
    }
    (other + undecodable > 0)
        .then(|| format!("{name}: {} messages were not of this run", other + undecodable))
}

/// How long the slowest load process took to send its events, in seconds.
fn longest(sent: &[Sent]) -> f64 {
    worst(sent, |sent| sent.seconds)
}

fn worst(sent: &[Sent], of: impl Fn(&Sent) -> f64) -> f64 {
    sent.iter().map(of).fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_divided_evenly_among_gateways() {
        let share = Share { devices: 20, of: 3 };
        assert_eq!([0, 1, 2].map(|index| share.of_gateway(index)), [7, 7, 6]);
        assert_eq!((share.largest(), share.warm_up_of_all()), (7, 0));
        assert_eq!(Share { devices: 102_000, of: 6 }.warm_up_of_all(), 600);
    }

    #[test]
    fn a_device_or_an_acknowledgement_that_is_lost_leaves_no_figures() {
        assert_eq!(fault_of_load(0, &Sent::default()), None);
        let faults: [fn(&mut Sent); 7] = [
            |sent| sent.devices.disconnects = 1,
            |sent| sent.devices.protocol_errors = 1,
            |sent| sent.devices.unsent = 1,
            |sent| sent.devices.undecodable = 1,
            |sent| sent.counts.ack.lost = 1,
            |sent| sent.counts.ack.duplicated = 1,
            |sent| _ = sent.devices.acks.insert(110, 1),
        ];
        for add_fault in faults {
            let mut sent = Sent::default();
            add_fault(&mut sent);
            assert!(fault_of_load(0, &sent).is_some(), "{sent:?}");
        }
    }

    #[test]
    fn an_event_that_is_lost_or_arrives_twice_leaves_no_figures() {
        let clean = Totals { events: 5, online: 9, ..Totals::default() };
        assert_eq!(fault_of_far_end("http", &clean, 5), None);
        for totals in [
            Totals { events: 4, ..clean },
            Totals { duplicated: 1, ..clean },
            Totals { offline: 1, ..clean },
            Totals { other: 1, ..clean },
            Totals { undecodable: 1, ..clean },
        ] {
            assert!(fault_of_far_end("http", &totals, 5).is_some(), "{totals:?}");
        }
    }
}
