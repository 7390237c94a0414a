//! Attackers on the real program while honest devices work, small: CONTRIBUTING names the whole drill.

use clap::Parser;
use talaria_sim::attack::{self, Kind, Options, Report};

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    options: Options,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_attack_no_device_is_lost_and_each_attack_is_counted_under_its_name() {
    let report = drill(&[]).await;
    endures(&report);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_tls_no_device_is_lost_either_and_a_handshake_that_never_ends_is_counted() {
    let report = drill(&["--tls"]).await;
    endures(&report);
}

/// Four seconds of peace, and four of attack.
async fn drill(further: &[&str]) -> Report {
    let arguments = [
        &["attack", "--spawn", env!("CARGO_BIN_EXE_talaria")][..],
        &["--devices", "100", "--rate", "200", "--qos", "mix"],
        &["--attackers", "28", "--for", "4s", "--patience", "1s"],
        further,
    ];
    let options = Command::try_parse_from(arguments.concat()).unwrap().options;
    attack::run(&options).await.unwrap()
}

fn endures(report: &Report) {
    assert_eq!((report.lost_devices, report.lost_events, report.exit_code), (0, 0, Some(0)), "{report}");
    assert!(report.series.after > 0 && report.series.after <= report.series.before + 500, "{report}");
    assert!(report.memory.peak > 0 && report.memory.growth() <= report.memory.allowed, "{report}");
    for result in &report.kinds {
        let done = result.done;
        assert!(done.attempts >= 2 && done.unreachable == 0, "{report}");
        assert!(done.endured == 0 || ends_by_itself(result.kind), "{report}");
        assert!(result.is_counted(), "{report}");
    }
    each_cut_is_counted(report);
}

/// Whether an attempt of this kind ends before the gateway has a reason to end it.
fn ends_by_itself(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::ReconnectStorm
            | Kind::LabelFlood
            | Kind::DeviceNamedHost
            | Kind::CostlyMessage
            | Kind::UnreadAcks
    )
}

/// Every connection that an attacker saw cut is in the gateway's counters.
fn each_cut_is_counted(report: &Report) {
    for kind in [Kind::UnmaskedFlood, Kind::SlowHeader, Kind::SlowBody] {
        let Some(result) = report.kinds.iter().find(|result| result.kind == kind) else { continue };
        let counted: u64 = result.counted.iter().map(|counted| counted.count).sum();
        assert!(counted >= result.done.cut + result.done.refused, "{kind:?}: {report}");
    }
}
