//! `deviceAccessCheck` over real sockets (contract §3.9): every operator, both modes, each outcome.

use std::io::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::join_all;
use serde_json::json;
use talaria::api;
use talaria::api::access::{AccessCheck, Mode};
use wrp::Message;

use crate::support::control::Controlled;
use crate::support::gateway::{MAC, basic, event, json as as_json, send};
use crate::support::http;

/// The checks of a configuration, as the gateway reads it.
fn checks(mode: &str, checks: &str) -> AccessCheck {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let directory = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join(format!("access-{}-{number}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let text = format!("deviceAccessCheck:\n  type: {mode}\n  checks: {checks}\n");
    std::fs::write(directory.join("talaria.yaml"), text).unwrap();
    let sources = talaria::config::Sources {
        file: Some("talaria".to_owned()),
        directories: vec![directory.clone()],
        ..talaria::config::Sources::default()
    };
    let loaded = talaria::config::load(&sources).unwrap();
    std::fs::remove_dir_all(directory).unwrap();
    loaded.config.api.access.unwrap()
}

/// What a device with the claims of `CLAIMS` gets of a message with partner `p` and status 5.
struct Case {
    /// The check without its name.
    check: &'static str,
    reason: &'static str,
}

const fn case(check: &'static str, reason: &'static str) -> Case {
    Case { check, reason }
}

const CASES: &[Case] = &[
    case("deviceCredentialPath: partners, wrpCredentialPath: PartnerIDs, op: intersects", "authorized"),
    case("deviceCredentialPath: others, wrpCredentialPath: PartnerIDs, op: intersects", "denied"),
    case(
        "deviceCredentialPath: partner-id, wrpCredentialPath: PartnerIDs, op: intersects",
        "incomplete_check",
    ),
    case(
        "deviceCredentialPath: partner-id, wrpCredentialPath: PartnerIDs, op: contains, inversed: true",
        "authorized",
    ),
    case("deviceCredentialPath: partners, inputValue: p, op: contains", "authorized"),
    case("deviceCredentialPath: partners, inputValue: x, op: contains", "denied"),
    case("deviceCredentialPath: partner-id, inputValue: p, op: contains", "incomplete_check"),
    case("deviceCredentialPath: partner-id, inputValue: p, op: eq", "authorized"),
    case("deviceCredentialPath: a.b, inputValue: deep, op: eq", "authorized"),
    case("deviceCredentialPath: partners, wrpCredentialPath: PartnerIDs, op: eq", "denied"),
    case("deviceCredentialPath: trust, inputValue: 1000, op: eq", "denied"),
    case("deviceCredentialPath: trust, inputValue: 1000.0, op: eq", "authorized"),
    case("deviceCredentialPath: trust, inputValue: 999, op: gt", "authorized"),
    case("deviceCredentialPath: trust, inputValue: 999, op: gt, inversed: true", "denied"),
    case("deviceCredentialPath: trust, wrpCredentialPath: Status, op: gt", "authorized"),
    case("deviceCredentialPath: partner-id, inputValue: 1, op: gt", "incomplete_check"),
    case("deviceCredentialPath: missing, inputValue: 1, op: eq", "missing_device_cred"),
    case("deviceCredentialPath: trust, wrpCredentialPath: Metadata.pid, op: eq", "missing_wrp_cred"),
    case("deviceCredentialPath: partners, wrpCredentialPath: Metadata, op: intersects", "incomplete_check"),
];

fn claims() -> serde_json::Value {
    json!({"partner-id": "p", "partners": ["p", "q"], "others": ["x"], "trust": 1000, "a": {"b": "deep"}})
}

fn message() -> Message {
    Message { partner_ids: Some(["p"].into()), status: Some(5), ..event() }
}

async fn gateway(access: AccessCheck) -> (Controlled, http::Client) {
    let mut controlled = Controlled::start(api::Config { access: Some(access), ..api::Config::default() });
    let device = controlled.device(MAC, Some(claims()), "").await;
    (controlled, device)
}

async fn sent(controlled: &Controlled, message: &Message, headers: &str) -> http::Response {
    let headers = format!("{headers}Content-Type: application/json\r\n");
    controlled.gateway.ask(send(&headers, &as_json(message))).await
}

fn count(controlled: &Controlled, outcome: &str, reason: &str) -> f64 {
    let series = format!("inbound_wrp_messages{{outcome=\"{outcome}\",reason=\"{reason}\"}}");
    controlled.gateway.metric(&series)
}

/// The case's line of the table.
async fn decided(mode: &str, Case { check, reason }: &Case) -> String {
    let access = checks(mode, &format!("[{{name: a, {check}}}]"));
    let (controlled, _device) = gateway(access).await;
    let answer = sent(&controlled, &message(), &basic("u:p")).await;
    let is_rejected = mode == "enforce" && *reason != "authorized";
    let expected = if is_rejected { (403, "") } else { (200, "") };
    assert_eq!((answer.status, answer.text()), expected, "{mode} {check}");
    assert_eq!(answer.header("x-xmidt-message-error"), None, "{mode} {check}");
    let outcome = if is_rejected { "rejected" } else { "accepted" };
    assert!(count(&controlled, outcome, reason) > 0.0, "{mode} {check}: not {reason}");
    format!("{mode} {check} → {} {reason}\n", answer.status)
}

#[tokio::test]
async fn every_operator_decides_as_it_should_in_both_modes() {
    let mut table = String::from("\ndeviceAccessCheck:\n");
    for mode in ["enforce", "monitor"] {
        for line in join_all(CASES.iter().map(|case| decided(mode, case))).await {
            table.push_str(&line);
        }
    }
    // Straight to the file: the test harness would keep what a macro prints of a test that passes.
    _ = std::io::stderr().write_all(table.as_bytes());
}

#[tokio::test]
async fn a_message_that_no_device_can_get_is_rejected_in_both_modes_and_counts_as_no_routing_error() {
    for mode in ["enforce", "monitor"] {
        let check = "[{name: a, deviceCredentialPath: trust, inputValue: 1, op: gt}]";
        let (controlled, _device) = gateway(checks(mode, check)).await;
        for (dest, status, reason) in
            [("uuid:absent", 404, "device_not_found"), ("nonsense", 400, "invalid_wrp_dest")]
        {
            let message = Message { dest: dest.into(), ..message() };
            let answer = sent(&controlled, &message, &basic("u:p")).await;
            assert_eq!((answer.status, answer.text()), (status, ""), "{mode} {dest}");
            assert_eq!(answer.header("x-xmidt-message-error"), None, "{mode} {dest}");
            assert!(count(&controlled, "rejected", reason) > 0.0, "{mode} {dest}");
        }
        let metrics = String::from_utf8(controlled.gateway.metrics.gather_text()).unwrap();
        assert!(!metrics.contains("api_request_errors_total{"), "{mode}");
    }
}

#[tokio::test]
async fn all_checks_have_to_hold_and_the_first_that_does_not_decides() {
    let check = "[{name: a, deviceCredentialPath: trust, inputValue: 1, op: gt}, \
                 {name: b, deviceCredentialPath: missing, inputValue: 1, op: gt}, \
                 {name: c, deviceCredentialPath: trust, inputValue: 5000, op: gt}]";
    let (controlled, _device) = gateway(checks("enforce", check)).await;
    assert_eq!(sent(&controlled, &message(), &basic("u:p")).await.status, 403);
    assert!(count(&controlled, "rejected", "missing_device_cred") > 0.0);
    assert!(count(&controlled, "rejected", "denied") < 1.0);
}

/// contract §3.4: decoding, transaction, access check, Basic.
#[tokio::test]
async fn the_check_comes_before_the_rule_of_basic_credentials_and_after_decoding() {
    let check = "[{name: a, deviceCredentialPath: trust, inputValue: 5000, op: gt}]";
    let (controlled, _device) = gateway(checks("enforce", check)).await;
    assert_eq!(sent(&controlled, &message(), "").await.status, 403);
    assert!(count(&controlled, "rejected", "denied") > 0.0, "checked although there are no credentials");
    let undecodable = send("Content-Type: application/json\r\n", b"{");
    assert_eq!(controlled.gateway.ask(undecodable).await.status, 400);
    assert!(count(&controlled, "rejected", "denied") < 2.0);
}

#[tokio::test]
async fn a_device_without_a_token_and_a_message_without_partners_are_held_back() {
    let check = "[{name: a, deviceCredentialPath: partners, wrpCredentialPath: PartnerIDs, op: intersects}]";
    let access = checks("enforce", check);
    assert_eq!(access.mode, Mode::Enforce);
    let (mut controlled, _device) = gateway(access).await;
    let _stranger = controlled.device("uuid:stranger", None, "").await;
    let to_stranger = Message { dest: "uuid:stranger".into(), ..message() };
    assert_eq!(sent(&controlled, &to_stranger, &basic("u:p")).await.status, 403);
    assert!(count(&controlled, "rejected", "missing_device_cred") > 0.0);
    let without_partners = Message { partner_ids: None, ..message() };
    assert_eq!(sent(&controlled, &without_partners, &basic("u:p")).await.status, 403);
    assert!(count(&controlled, "rejected", "denied") > 0.0);
}
