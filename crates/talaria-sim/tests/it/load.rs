//! The load process of the benchmark's row `fleet`, which is driven here by hand: lines of JSON on its stdin and stdout.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde_json::{Value, json};
use talaria_sim::receiver::Receiver;
use talaria_sim::tally::Tally;

use crate::support::test_gateway::TestGateway;

struct Load {
    process: Child,
    output: BufReader<ChildStdout>,
}

impl Load {
    fn start(gateway: &TestGateway, devices: usize) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_talaria-sim"))
            .arg("load")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        let mut load = Self { process, output };
        load.write(&json!({
            "gateway": gateway.device_address(), "run": 7, "devices": devices, "connecting": 4,
            "event_bytes": 350, "qos": 80, "give_up": {"secs": 1, "nanos": 0},
        }));
        load
    }

    fn write(&mut self, line: &Value) {
        writeln!(self.process.stdin.as_mut().unwrap(), "{line}").unwrap();
    }

    fn ask(&mut self, order: &Value) -> Value {
        self.write(order);
        let mut answer = String::new();
        self.output.read_line(&mut answer).unwrap();
        serde_json::from_str(&answer).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_process_counts_what_its_devices_sent_and_which_acknowledgements_came() {
    let gateway = TestGateway::start().await;
    let counter = Arc::new(Tally::default());
    let _receiver = Receiver::bind(gateway.receiver, Arc::clone(&counter) as _).await.unwrap();
    gateway.faults.leave_unacked.store(3, Ordering::Relaxed);
    let mut load = Load::start(&gateway, 10);
    assert_eq!(load.ask(&json!({"connect": {"start": 0, "end": 4}}))["connected"]["online"], 4);
    assert_eq!(load.ask(&json!({"connect": {"start": 4, "end": 10}}))["connected"]["online"], 6);
    // Every second event of a schedule of 400.
    let schedule = json!({"per_second": 1000, "events": 200, "first": 1, "step": 2});
    let sent = load.ask(&json!({ "send": schedule }))["sent"].take();
    assert_eq!((&sent["counts"]["sent"], &sent["counts"]["ack"]["lost"]), (&json!(200), &json!(3)), "{sent}");
    assert_eq!(sent["devices"]["online"], 10, "{sent}");
    assert!(sent["seconds"].as_f64().unwrap() > 0.39, "{sent}");
    assert_eq!(load.ask(&json!("stop"))["stopped"]["cut"], 0);
    assert_eq!((counter.totals().events, counter.totals().online), (200, 10));
    // It ends when the benchmark does.
    drop(load.process.stdin.take());
    assert!(load.process.wait().unwrap().success());
}

#[test]
fn a_load_process_that_no_benchmark_has_started_ends_with_an_error() {
    let output =
        Command::new(env!("CARGO_BIN_EXE_talaria-sim")).arg("load").stdin(Stdio::null()).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
}
