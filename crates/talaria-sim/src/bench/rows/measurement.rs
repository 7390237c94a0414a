//! How a row is measured: a gateway and its far ends are started for it alone, warmed up, measured and stopped.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use super::error::RowsError;
use super::figures::{Figures, Outcome};
use super::{fleet, kernel};

use crate::bench::instrument::Instrument;
use crate::bench::options::Options;
use crate::bench::pace::Pace;
use crate::bench::phases::{Bench, WARM_UP_DEVICES, WARM_UP_EVENTS};
use crate::bench::report::{Connect, EndResult, Events};
use crate::bench::row::{Load, Row, Security, Work};
use crate::testbed::{Compression, MetricsPage, Requirements, Routes, Testbed};
use crate::traffic::QosMix;

/// How often the metrics page is read.
const SCRAPES: u64 = 50;

/// The part of the time of an open loop by which it may be longer, because the load generator itself was late.
pub(super) const PACE_TOLERANCE: f64 = 0.02;

/// Measures a row of a gateway program.
///
/// # Errors
/// If it cannot be measured. Losses are no error, but an [`Outcome`].
pub(super) async fn measure(row: &Row, options: &Options, program: &Path) -> Result<Outcome, RowsError> {
    let run = |load: Option<Load>| one_run(row, load, options, program);
    match row.work {
        Work::Events(load) => Box::pin(run(Some(load))).await,
        Work::Latency(rate) => {
            let load = |routes| Load { routes, qos: 80, pace: Pace::PerSecond(rate) };
            let both = Box::pin(run(Some(load(Routes::Both)))).await?;
            let kafka = Box::pin(run(Some(load(Routes::KafkaOnly)))).await?;
            Ok(latencies(both, kafka))
        }
        Work::Idle | Work::Connect | Work::Request | Work::Scrape => Box::pin(run(None)).await,
        Work::Fleet => Box::pin(fleet::measure(options, program)).await,
    }
}

/// Runs the gateway once, for a row or for a part of one.
async fn one_run(
    row: &Row,
    load: Option<Load>,
    options: &Options,
    program: &Path,
) -> Result<Outcome, RowsError> {
    let mut options = options.clone();
    options.testbed.spawn = Some(program.to_owned());
    options.testbed.tls = row.security != Security::Plain;
    options.testbed.access.resume = row.security == Security::ResumedTls;
    if row.security == Security::ResumedTls {
        // Each device returns a ticket for the one that it uses, and the devices of the warm-up have the first ones.
        let tickets = warm_up_devices(&options).max(1);
        options.testbed.connecting = options.testbed.connecting.min(tickets);
    }
    if row.work != Work::Idle {
        // Only memory has to settle.
        options.settle = Duration::ZERO;
    }
    options.testbed.prefix = options.count.map(Instrument::prefix).unwrap_or_default();
    let Load { routes, qos, pace } =
        load.unwrap_or(Load { routes: Routes::Both, qos: 10, pace: Pace::FlatOut });
    options.testbed.qos = QosMix::Fixed(qos);
    if let Pace::PerSecond(rate) = pace {
        options.events = (options.run_for.as_secs_f64() * f64::from(rate)).ceil() as u64;
    }
    let requirements = Requirements {
        connections: options.testbed.devices,
        window: (pace == Pace::FlatOut).then_some(options.window),
        limits: None,
        routes,
    };
    let testbed = Testbed::start(&options.testbed, requirements).await?;
    let bench = Bench { options: &options, testbed: &testbed, pace };
    let outcome = measured(row, load, &bench).await?;
    // The devices leave, as in the field, before the gateway is asked to end.
    bench.disconnect().await?;
    let code = testbed.stop().await?;
    Ok(match (outcome, code) {
        (Outcome::Figures(_), Some(code)) if code != 0 => {
            Outcome::NotClean(format!("the gateway ended with exit code {code}"))
        }
        (outcome, _) => outcome,
    })
}

async fn measured(row: &Row, load: Option<Load>, bench: &Bench<'_>) -> Result<Outcome, RowsError> {
    let devices = bench.options.testbed.devices;
    let warm_up = warm_up_devices(bench.options);
    let before = bench.warm_up(warm_up).await?;
    let kernel_before = kernel::memory();
    // Of the devices for warming up, some have resumed a session already.
    let resumed_before = match row.security {
        Security::ResumedTls => Some(resumed_handshakes(bench).await?),
        Security::Plain | Security::Tls => None,
    };
    let connect = bench.connect(warm_up).await?;
    if let Some(fault) = fault_of_connect(&connect, devices) {
        return Ok(Outcome::NotClean(fault));
    }
    let mut figures = Figures::default();
    match (row.work, load) {
        (_, Some(load)) => {
            let events = bench.events(WARM_UP_EVENTS.min(bench.options.events / 10)).await?;
            if let Some(fault) = fault_of_events(&events, load, bench.options) {
                return Ok(Outcome::NotClean(fault));
            }
            add_events(&mut figures, &events, load);
        }
        (Work::Idle, _) => {
            let after = bench.settle().await?;
            if !(before.stable && after.stable) {
                return Ok(Outcome::NotClean("the gateway's memory did not stop changing".to_owned()));
            }
            let each = |before: u64, after: u64| (after as f64 - before as f64) / connect.devices as f64;
            figures.add("bytes", each(before.resident, after.resident));
            if let (Some(before), Some(after)) = (kernel_before, kernel::memory()) {
                // The other half is that of the simulated devices.
                figures.add("kernel_bytes", each(before, after) / 2.0);
            }
        }
        (Work::Connect, _) => {
            if let Some(before) = resumed_before
                && let after = resumed_handshakes(bench).await?
                && let Some(fault) = fault_of_resumption(before, after, devices - warm_up)
            {
                return Ok(Outcome::NotClean(fault));
            }
            figures.add_costs(&connect.costs);
            if bench.options.count.is_none() {
                figures.add_latency("connect", &connect.latency);
            }
        }
        (Work::Request, _) => {
            let api = bench.testbed.gateway.api.as_ref().ok_or(RowsError::NoProgram)?;
            let requests = bench.requests(api).await?;
            if let Some((error, count)) = requests.failed.first_key_value() {
                return Ok(Outcome::NotClean(format!("{count} requests failed: {error}")));
            }
            figures.add_costs(&requests.costs);
            if bench.options.count.is_none() {
                figures.add_latency("response", &requests.latency);
            }
        }
        (Work::Scrape | Work::Events(_) | Work::Latency(_) | Work::Fleet, _) => {
            let spawned = bench.testbed.gateway.spawned.as_ref().ok_or(RowsError::NoProgram)?;
            if let Err(error) = scrape(bench, spawned.metric(), &mut figures).await? {
                return Ok(Outcome::NotClean(format!("the metrics page cannot be read: {error}")));
            }
        }
    }
    Ok(Outcome::Figures(figures))
}

fn warm_up_devices(options: &Options) -> usize {
    WARM_UP_DEVICES.min(options.testbed.devices / 10)
}

/// Why the figures are not those of so many devices that all resumed their session.
fn fault_of_resumption(before: io::Result<u64>, after: io::Result<u64>, devices: usize) -> Option<String> {
    match (before, after) {
        (Ok(before), Ok(after)) => {
            let resumed = after.saturating_sub(before);
            (resumed != devices as u64)
                .then(|| format!("{resumed} of {devices} devices resumed their TLS session"))
        }
        (Err(error), _) | (_, Err(error)) => Some(format!("the metrics page cannot be read: {error}")),
    }
}

/// How many handshakes of devices were resumed since the gateway's start.
async fn resumed_handshakes(bench: &Bench<'_>) -> Result<io::Result<u64>, RowsError> {
    let spawned = bench.testbed.gateway.spawned.as_ref().ok_or(RowsError::NoProgram)?;
    let page = async {
        let mut page = MetricsPage::connect(spawned.metric()).await?;
        page.fetch(Compression::None).await
    };
    Ok(page.await.map(|page| resumed_in(&String::from_utf8_lossy(&page)).unwrap_or_default()))
}

/// The number of resumed handshakes of devices on a metrics page.
fn resumed_in(page: &str) -> Option<u64> {
    let is_theirs = |series: &str| {
        series.contains("tls_handshakes_total{")
            && [r#"kind="resumed""#, r#"server="primary""#].iter().all(|label| series.contains(label))
    };
    page.lines().find(|line| is_theirs(line))?.rsplit_once(' ')?.1.parse().ok()
}

/// Reads the metrics page, plain and compressed.
async fn scrape(
    bench: &Bench<'_>,
    address: SocketAddr,
    figures: &mut Figures,
) -> Result<io::Result<()>, RowsError> {
    for (compression, prefix) in [(Compression::None, ""), (Compression::Gzip, "gzip_")] {
        let mut page = match MetricsPage::connect(address).await {
            Ok(page) => page,
            Err(error) => return Ok(Err(error)),
        };
        // The first page is for warming up.
        if let Err(error) = page.fetch(compression).await {
            return Ok(Err(error));
        }
        let watch = bench.stopwatch()?;
        let mut length = 0;
        for _ in 0..SCRAPES {
            length = match page.fetch(compression).await {
                Ok(page) => page.len(),
                Err(error) => return Ok(Err(error)),
            };
        }
        figures.add(&format!("{prefix}cpu_us"), watch.costs_each(SCRAPES)?.cpu_us);
        figures.add(&format!("{prefix}page_bytes"), length as f64);
    }
    Ok(Ok(()))
}

fn add_events(figures: &mut Figures, events: &Events, load: Load) {
    figures.add_costs(&events.costs);
    if !events.costs.counts.is_empty() {
        return;
    }
    figures.add("per_second", events.per_second);
    if load.routes == Routes::Both
        && let Some(http) = &events.http
    {
        figures.add_latency("http", &http.latency);
    }
    if load.qos >= 25 {
        figures.add_latency("ack", &events.ack.latency);
    }
    if let Some(kafka) = &events.kafka {
        // A reader waits up to five milliseconds at the broker, which is in these.
        figures.add_latency("topic", &kafka.latency);
    }
}

/// The latencies of the run with both sinks, and as Kafka's delivery report the acknowledgement in the run without the receiver.
fn latencies(both: Outcome, kafka: Outcome) -> Outcome {
    let (both, kafka) = match (both, kafka) {
        (Outcome::Figures(both), Outcome::Figures(kafka)) => (both, kafka),
        (Outcome::NotClean(fault), _) | (_, Outcome::NotClean(fault)) => return Outcome::NotClean(fault),
    };
    let mut figures = Figures::default();
    let parts = [(&both, "http", "http"), (&both, "ack", "ack"), (&kafka, "ack", "kafka_report")];
    for (from, name, as_name) in parts {
        for quantile in ["p50_ms", "p99_ms"] {
            if let Some(value) = from.0.get(&format!("{name}_{quantile}")) {
                figures.add(&format!("{as_name}_{quantile}"), *value);
            }
        }
    }
    Outcome::Figures(figures)
}

fn fault_of_connect(connect: &Connect, devices: usize) -> Option<String> {
    let Connect { failed, error, online_http, online_kafka, .. } = connect;
    let online = [*online_http, *online_kafka];
    if *failed > 0 {
        let error = error.as_deref().unwrap_or_default();
        return Some(format!("{failed} devices did not connect: {error}"));
    }
    let wrong = online.into_iter().flatten().find(|online| *online != devices as u64)?;
    Some(format!("{wrong} online events arrived of {devices} devices"))
}

/// Why the figures of events mean nothing: an event was lost, duplicated, late, or not acknowledged as delivered.
fn fault_of_events(events: &Events, load: Load, options: &Options) -> Option<String> {
    let Events { sent, unsent, seconds, http, kafka, ack, acks_by_rdr, strange, .. } = events;
    let expected = options.events;
    if *sent != expected || *unsent > 0 {
        return Some(format!("{sent} of {expected} events were sent, {unsent} could not be"));
    }
    let receiver = http.as_ref().filter(|_| load.routes == Routes::Both);
    let ends = [("http", receiver), ("kafka", kafka.as_ref()), ("ack", Some(ack))];
    for (name, end) in ends.into_iter().filter_map(|(name, end)| Some((name, end?))) {
        let EndResult { lost, duplicated, latency, .. } = end;
        if *lost > 0 || *duplicated > 0 {
            return Some(format!("{name}: {lost} events were lost, {duplicated} duplicated"));
        }
        let latest = Duration::from_secs_f64(latency.max / 1000.0);
        if latest > options.testbed.give_up {
            return Some(format!("{name}: an event was {latest:?} late"));
        }
    }
    if let Some((rdr, count)) = acks_by_rdr.iter().find(|(rdr, _)| **rdr != 0) {
        return Some(format!("{count} acknowledgements had rdr {rdr}"));
    }
    if *strange > 0 {
        return Some(format!("{strange} messages at the far ends were not of this run"));
    }
    let Pace::PerSecond(rate) = load.pace else { return None };
    let due = expected as f64 / f64::from(rate);
    let late = seconds - due - options.testbed.give_up.as_secs_f64().min(1.0);
    (late > due * PACE_TOLERANCE).then(|| format!("the load of {due:.1} s took {seconds:.1} s"))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::latency::Summary;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        options: Options,
    }

    const BOTH: Load = Load { routes: Routes::Both, qos: 80, pace: Pace::FlatOut };

    fn options() -> Options {
        Command::try_parse_from(["bench", "--spawn", "x", "--events", "5"]).unwrap().options
    }

    fn clean() -> Events {
        let end = || EndResult { received: 5, ..EndResult::default() };
        Events { sent: 5, http: Some(end()), kafka: Some(end()), ack: end(), ..Events::default() }
    }

    #[test]
    fn an_event_that_is_lost_duplicated_or_late_leaves_no_figures() {
        assert_eq!(fault_of_events(&clean(), BOTH, &options()), None);
        let late = Summary { max: 30_001.0, ..Summary::default() };
        let faults: [fn(&mut Events, Summary); 7] = [
            |events, _| events.sent = 4,
            |events, _| events.unsent = 1,
            |events, _| events.http.as_mut().unwrap().lost = 1,
            |events, _| events.kafka.as_mut().unwrap().duplicated = 1,
            |events, late| events.ack.latency = late,
            |events, _| events.strange = 1,
            |events, _| _ = events.acks_by_rdr.insert(110, 1),
        ];
        for add_fault in faults {
            let mut events = clean();
            add_fault(&mut events, late);
            assert!(fault_of_events(&events, BOTH, &options()).is_some(), "{events:?}");
        }
    }

    #[test]
    fn an_open_loop_that_did_not_keep_its_pace_leaves_no_figures() {
        let paced = Load { pace: Pace::PerSecond(1), ..BOTH };
        let events = |seconds| Events { seconds, ..clean() };
        assert_eq!(fault_of_events(&events(5.9), paced, &options()), None);
        assert!(fault_of_events(&events(6.2), paced, &options()).is_some());
    }

    #[test]
    fn resumed_handshakes_are_those_of_the_server_for_devices() {
        let page = "# TYPE t_tls_handshakes_total counter\n\
                    t_tls_handshakes_total{kind=\"resumed\",server=\"alternate\"} 7\n\
                    t_tls_handshakes_total{kind=\"full\",server=\"primary\"} 100\n\
                    t_tls_handshakes_total{kind=\"resumed\",server=\"primary\"} 900\n";
        assert_eq!(resumed_in(page), Some(900));
        assert_eq!(resumed_in(""), None);
    }

    #[test]
    fn where_kafka_alone_gets_events_the_receiver_misses_none() {
        let mut events = clean();
        events.http = Some(EndResult { lost: 5, ..EndResult::default() });
        let kafka = Load { routes: Routes::KafkaOnly, ..BOTH };
        assert_eq!(fault_of_events(&events, kafka, &options()), None);
    }
}
