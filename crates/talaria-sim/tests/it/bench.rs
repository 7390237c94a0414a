//! The benchmark finds exactly the losses and duplicates that a test gateway causes.

use std::sync::atomic::Ordering;

use clap::Parser;
use talaria_sim::bench::{self, BenchError, Options, Report};

use crate::support::test_gateway::TestGateway;

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    options: Options,
}

fn options(gateway: &TestGateway, device: &str, further: &[&str]) -> Options {
    let (api, pid) = (gateway.api_url(), std::process::id().to_string());
    let receiver = gateway.receiver.to_string();
    let own = ["bench", "--device", device, "--api", &api, "--pid", &pid, "--receiver-listen", &receiver];
    Command::try_parse_from(own.iter().chain(further)).unwrap().options
}

async fn bench(gateway: &TestGateway) -> Report {
    let small = [
        "--devices",
        "20",
        "--events",
        "300",
        "--requests",
        "40",
        "--window",
        "20",
        "--give-up",
        "1s",
        "--settle",
        "0",
    ];
    Box::pin(bench::run(&options(gateway, &gateway.device_url(), &small))).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_report_of_a_gateway_without_faults_is_clean() {
    let report = bench(&TestGateway::start().await).await;
    assert!(report.is_clean(), "{report}");
    assert_eq!((report.connect.devices, report.connect.online_http), (18, Some(20)));
    assert_eq!((report.events.sent, report.events.http.as_ref().unwrap().received), (300, 300));
    assert_eq!(report.events.http.as_ref().unwrap().latency.count, 300);
    assert_eq!((report.events.ack.received, report.events.ack.lost), (300, 0));
    assert_eq!(report.events.kafka, None);
    assert_eq!(report.requests.as_ref().unwrap().answered, 40);
    assert!(report.events.costs.cpu_us > 0.0 && report.connect.costs.cpu_us > 0.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn losses_duplicates_and_missing_acks_are_counted_exactly() {
    let gateway = TestGateway::start().await;
    gateway.faults.lose.store(7, Ordering::Relaxed);
    gateway.faults.repeat.store(3, Ordering::Relaxed);
    gateway.faults.leave_unacked.store(5, Ordering::Relaxed);
    let report = bench(&gateway).await;
    let http = report.events.http.as_ref().unwrap();
    assert!(!report.is_clean());
    assert_eq!((http.received, http.lost, http.duplicated), (293, 7, 3), "{report}");
    assert_eq!((report.events.ack.received, report.events.ack.lost), (295, 5), "{report}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_benchmark_in_which_no_device_connects_is_an_error() {
    let gateway = TestGateway::start().await;
    let error = Box::pin(bench::run(&options(&gateway, "ws://127.0.0.1:1/", &[]))).await.unwrap_err();
    assert!(matches!(&error, BenchError::NoDevices(Some(_))), "{error}");
}
