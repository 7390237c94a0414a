//! The benchmark on the real program, as a whole and by rows, small: its figures mean nothing here, but its counts do.

use clap::Parser;
use talaria_sim::bench::rows::{Figures, RowsReport};
use talaria_sim::bench::{self, Options};

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    options: Options,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_under_a_benchmark_loses_and_repeats_nothing_and_leaves_with_0() {
    is_clean(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nor_does_one_that_speaks_tls_to_devices_and_callers() {
    is_clean(&["--tls"]).await;
}

async fn is_clean(further: &[&str]) {
    let arguments = [
        &["bench", "--spawn", env!("CARGO_BIN_EXE_talaria")][..],
        &["--devices", "50", "--events", "2000", "--requests", "200"],
        &["--qos", "mix", "--window", "100", "--settle", "0"],
        further,
    ];
    let options = Command::try_parse_from(arguments.concat()).unwrap().options;
    let report = Box::pin(bench::run(&options)).await.unwrap();
    assert!(report.is_clean(), "{report}");
    assert_eq!((report.connect.online_http, report.connect.online_kafka), (Some(50), Some(50)), "{report}");
    assert_eq!(
        (report.disconnect.offline_http, report.disconnect.offline_kafka),
        (Some(50), Some(50)),
        "{report}"
    );
    assert_eq!(report.disconnect.cut, 0, "{report}");
    let (http, kafka) = (report.events.http.unwrap(), report.events.kafka.unwrap());
    assert_eq!((http.received, kafka.received, report.events.ack.received), (2000, 2000, 1500));
    assert_eq!(
        (report.requests.unwrap().answered, report.events.strange, report.exit_code),
        (200, 0, Some(0))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_have_the_figures_of_their_work_and_a_baseline_of_the_same_run_is_accepted() {
    let folder = std::env::temp_dir().join(format!("talaria-rows-{}.json", std::process::id()));
    let rows = ["event-both-qos80-500", "event-kafka-qos80", "request", "metrics-scrape", "latency-100"];
    let report = measured(&rows, &[]).await;
    let cpu = "cpu_us";
    for (row, figures) in [
        (
            "event-both-qos80-500",
            &[cpu, "voluntary_switches", "http_p99_ms", "ack_p50_ms", "topic_p99_ms"][..],
        ),
        ("event-kafka-qos80", &[cpu, "per_second", "ack_p99_ms"]),
        ("request", &[cpu, "response_p50_ms"]),
        ("metrics-scrape", &[cpu, "page_bytes", "gzip_cpu_us"]),
        ("latency-100", &["http_p50_ms", "ack_p99_ms", "kafka_report_p99_ms"]),
    ] {
        let median = report.measured.rows[row].median.as_ref().expect("a clean row");
        for figure in figures {
            assert!(median.0[*figure] > 0.0, "{row} {figure}: {report}");
        }
    }
    // There is no receiver for these events.
    assert!(
        !report.measured.rows["event-kafka-qos80"].median.as_ref().unwrap().0.contains_key("http_p99_ms")
    );

    std::fs::write(&folder, serde_json::to_string(&report).unwrap()).unwrap();
    measured(&["request"], &["--baseline", folder.to_str().unwrap()]).await;
    std::fs::remove_file(folder).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fleet_of_several_gateways_loses_no_device_and_no_event() {
    let report = measured(&["fleet"], &["--gateways", "3", "--fleet-rate", "400", "--settle", "1m"]).await;
    let Figures(figures) = report.measured.rows["fleet"].median.as_ref().unwrap();
    assert_eq!((figures["devices"], figures["events"]), (20.0, 400.0), "{report}");
    for figure in ["cpu_us", "connect_cpu_us", "worst_ack_p50_ms", "all_told_bytes", "kernel_bytes"] {
        assert!(figures.contains_key(figure), "{figure}: {report}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_cannot_be_measured_is_not_clean_and_the_next_one_is_measured() {
    let arguments = ["bench", "--spawn", "/bin/true", "--row", "request", "--row", "fleet", "--devices", "1"];
    let options = Command::try_parse_from(arguments).unwrap().options;
    let mut done = Vec::new();
    let run = bench::rows::run(&options, |row, _| done.push(row.to_owned()));
    let (report, _) = Box::pin(run).await.unwrap();
    assert_eq!(done, ["request", "fleet"]);
    assert!(!report.is_clean() && report.to_string().contains("before it listened"), "{report}");
}

/// Measures rows of the program, which must be clean.
async fn measured(rows: &[&str], further: &[&str]) -> RowsReport {
    let mut arguments = vec!["bench", "--spawn", env!("CARGO_BIN_EXE_talaria"), "--for", "1s"];
    arguments.extend(["--devices", "20", "--events", "300", "--requests", "50", "--window", "50"]);
    if !further.contains(&"--settle") {
        arguments.extend(["--settle", "0"]);
    }
    arguments.extend(rows.iter().flat_map(|row| ["--row", row]).chain(further.iter().copied()));
    let options = Command::try_parse_from(arguments).unwrap().options.with_loads_in_this_process();
    let mut done = Vec::new();
    let run = bench::rows::run(&options, |row, _| done.push(row.to_owned()));
    let (report, _) = Box::pin(run).await.unwrap();
    assert_eq!(done, rows);
    assert!(report.is_clean(), "{report}");
    report
}
