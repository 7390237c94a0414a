//! The benchmark on the real program, small: its figures mean nothing here, but its counts do.

use clap::Parser;
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
    let report = bench::run(&options).await.unwrap();
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
