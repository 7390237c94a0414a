//! The screen at three widths, against the files in `tests/screens`; with `UPDATE=1` the test writes them, and the one in
//! docs/operations.md.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::style::Color;

use super::*;
use crate::reading::Reading;

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/operations.md");

/// When the gateways of the tests were asked last, in seconds since 1970.
const NOON: f64 = 1_800_000_000.0;

/// What a gateway has done in a second.
#[derive(Clone, Copy)]
struct Second {
    devices: u32,
    connects: u32,
    events: u32,
    refused_by_receiver: u32,
    /// The state of the second receiver's breaker.
    breaker: u32,
}

/// The page of a gateway that has done the same for so many seconds.
fn page(second: Second, seconds: u32) -> String {
    let Second { devices, connects, events, refused_by_receiver, breaker } = second;
    let times = |a_second: u32| a_second * seconds;
    let mut page = String::new();
    for (name, value) in [
        ("talaria_talaria_device_count", devices),
        ("talaria_talaria_max_device_count", 0),
        ("talaria_talaria_connect_count", times(connects)),
        ("talaria_talaria_disconnect_count", times(connects / 2)),
        ("talaria_talaria_disconnects_waiting", 0),
        ("talaria_talaria_handshakes_waiting", connects / 4),
        ("talaria_talaria_handshakes_refused_total{kind=\"device\"}", 0),
        ("talaria_talaria_wrp_source_check{outcome=\"accepted\",reason=\"id_match\"}", times(events)),
        ("talaria_talaria_maximum_processors", 8),
        ("talaria_talaria_config_generation", 3),
        ("talaria_talaria_config_last_reload_successful", 1),
        ("talaria_talaria_config_last_failure_timestamp_seconds", 1_799_999_000),
        ("talaria_talaria_config_keys_waiting_for_restart", 0),
        ("talaria_talaria_tls_certificate_not_after_seconds{server=\"primary\"}", 1_804_000_000),
        ("outbound_requests{code=\"202\",reason=\"no_err\",scheme=\"event\"}", times(events)),
        (
            "outbound_requests{code=\"503\",reason=\"non202\",scheme=\"event\"}",
            times(refused_by_receiver * 2),
        ),
        (
            "outbound_dropped_messages{code=\"503\",reason=\"non202\",scheme=\"event\"}",
            times(refused_by_receiver),
        ),
        (
            "outbound_dropped_messages{code=\"message_dropped\",reason=\"full outbound queue\",scheme=\"event\"}",
            times(refused_by_receiver / 4),
        ),
        ("outbound_queue_size", refused_by_receiver * 3),
        ("outbound_inflight", 14),
        ("outbound_retries", times(refused_by_receiver)),
        ("outbound_receiver_state{origin=\"https://a.example.com\"}", 0),
        ("outbound_receiver_state{origin=\"https://b.example.com\"}", breaker),
        (
            "outbound_ack_success{message_type=\"SimpleEvent\",partner_id=\"x\",qos_level=\"Medium\"}",
            times(events / 2),
        ),
        (
            "outbound_ack_success{message_type=\"SimpleEvent\",partner_id=\"x\",qos_level=\"Critical\"}",
            times(events / 8),
        ),
        ("publish_outcome_total{outcome=\"Accepted\"}", times(events / 8)),
        ("publish_outcome_total{outcome=\"Queued\"}", times(events / 2)),
        ("publish_outcome_total{outcome=\"Attempted\"}", times(events - events / 2 - events / 8)),
        (
            "kafka_messages_published_total{error_type=\"success\",topic=\"wrp-events\",topic_shard_strategy=\"\"}",
            times(events),
        ),
        ("kafka_up", 1),
        ("kafka_waiting_records{qos_level=\"Low\",topic=\"wrp-events\"}", 0),
        ("kafka_unacknowledged_records{topic=\"wrp-events\"}", 96),
        ("kafka_unacknowledged_bytes{topic=\"wrp-events\"}", 49_152),
        ("kafka_oldest_record_age_seconds", 0),
        ("kafka_buffer_utilization", 0),
        ("kafka_waiting_utilization", 0),
        ("gate_status", 1),
        ("drain_status", 0),
        ("talaria_process_resident_memory_bytes", 512 << 20),
        ("talaria_process_open_fds", devices + 60),
        ("talaria_process_max_fds", 1_048_576),
    ] {
        _ = writeln!(page, "{name} {value}");
    }
    _ = writeln!(page, "talaria_process_start_time_seconds {}", NOON - 11_520.0);
    _ = writeln!(page, "talaria_process_cpu_seconds_total {}", 0.9 * f64::from(seconds));
    for (family, labels, shares) in [
        (
            "outbound_request_duration_seconds",
            "code=\"202\",reason=\"expected_code\",scheme=\"event\"",
            [60, 90, 99, 100],
        ),
        (
            "kafka_publish_latency_seconds",
            "error_type=\"success\",topic=\"wrp-events\",topic_shard_strategy=\"\"",
            [2, 70, 98, 100],
        ),
        (
            "outbound_ack_success_latency_seconds",
            "message_type=\"SimpleEvent\",partner_id=\"x\",qos_level=\"Medium\"",
            [1, 68, 97, 100],
        ),
    ] {
        for (bound, share) in
            ["0.001", "0.005", "0.025", "0.125", "+Inf"].into_iter().zip(shares.into_iter().chain([100]))
        {
            let count = f64::from(times(events)) * f64::from(share) / 100.0;
            _ = writeln!(page, "{family}_bucket{{{labels},le=\"{bound}\"}} {count}");
        }
    }
    page
}

const QUIET: Second =
    Second { devices: 41_250, connects: 4, events: 2_000, refused_by_receiver: 0, breaker: 0 };
const BUSY: Second =
    Second { devices: 40_875, connects: 12, events: 2_150, refused_by_receiver: 8, breaker: 2 };

/// Three gateways, of which one has a receiver that fails and one is not reached.
fn fleet() -> Fleet {
    let mut fleet = Fleet::new(["talaria-1:8082", "talaria-2:8082", "talaria-3:8082"].into_iter());
    for seconds in [1, 2] {
        let at = Duration::from_secs(seconds.into());
        for (index, second) in [(0, QUIET), (1, BUSY)] {
            fleet.note(index, at, Ok(Reading::of(&page(second, seconds)).unwrap()));
        }
        fleet.note(2, at, Err("Connection refused (os error 111)".to_owned()));
    }
    fleet
}

fn one_gateway() -> Fleet {
    let mut fleet = Fleet::new(["127.0.0.1:8082"].into_iter());
    for seconds in [1, 2] {
        fleet.note(0, Duration::from_secs(seconds.into()), Ok(Reading::of(&page(QUIET, seconds)).unwrap()));
    }
    fleet
}

const NOW: Now = Now { running: Duration::from_secs(14), unix_seconds: NOON };

fn terminal(
    fleet: &Fleet,
    cursor: Cursor,
    colours: Colours,
    (width, height): (u16, u16),
) -> Terminal<TestBackend> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, fleet, cursor, NOW, colours)).unwrap();
    terminal
}

/// The screen as text, without spaces at the ends of lines.
fn screen(fleet: &Fleet, cursor: Cursor, size: (u16, u16)) -> String {
    let terminal = terminal(fleet, cursor, Colours::Used, size);
    let buffer = terminal.backend().buffer();
    let rows = buffer.content().chunks(usize::from(size.0));
    let lines =
        rows.map(|row| row.iter().map(|cell| cell.symbol()).collect::<String>().trim_end().to_owned());
    lines.collect::<Vec<_>>().join("\n").trim_end().to_owned() + "\n"
}

#[expect(clippy::disallowed_methods, reason = "a developer asks the test to write the screens")]
fn is_update() -> bool {
    std::env::var_os("UPDATE").is_some()
}

fn assert_is_file(path: &Path, text: &str) {
    if is_update() {
        std::fs::write(path, text).unwrap();
    }
    let written = std::fs::read_to_string(path).unwrap_or_default();
    assert_eq!(written, text, "{} differs: run this test with UPDATE=1", path.display());
}

#[test]
fn the_screens_are_those_of_the_files() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/screens");
    for width in [66, 80, 120] {
        let text = screen(&fleet(), Cursor(2), (width, 30));
        assert!(text.lines().all(|line| line.chars().count() <= usize::from(width)));
        assert_is_file(&folder.join(format!("fleet-{width}.txt")), &text);
        assert_is_file(
            &folder.join(format!("one-{width}.txt")),
            &screen(&one_gateway(), Cursor(0), (width, 24)),
        );
    }
}

#[test]
fn the_screen_in_the_documentation_is_the_one_of_80_columns() {
    let (before, after) = ("talaria top talaria-1 talaria-2 talaria-3\n```\n\n```text\n", "```\n");
    let document = std::fs::read_to_string(DOCUMENT).unwrap();
    let start = document.find(before).expect("the section is there") + before.len();
    let end = start + document[start..].find(after).unwrap();
    let expected = [&document[..start], &screen(&fleet(), Cursor(2), (80, 30)), &document[end..]].concat();
    assert_is_file(Path::new(DOCUMENT), &expected);
}

#[test]
fn the_end_of_a_certificate_is_shown_and_warned_of_two_weeks_before() {
    let shown = |end: f64| {
        let mut fleet = Fleet::new(["a"].into_iter());
        let page = format!(
            "t_max_device_count 0\nt_tls_certificate_not_after_seconds{{server=\"primary\"}} {end}\n"
        );
        fleet.note(0, Duration::ZERO, Ok(Reading::of(&page).unwrap()));
        let terminal = terminal(&fleet, Cursor(0), Colours::Used, (80, 30));
        let buffer = terminal.backend().buffer();
        let text: String = buffer.content().iter().map(|cell| cell.symbol()).collect();
        let at = text.find("certificate").unwrap();
        (text[at..].split("   ").next().unwrap().to_owned(), buffer.content()[at].fg)
    };
    let day = 86_400.0;
    assert_eq!(shown(NOON + 15.0 * day), ("certificates end in 15d0h".to_owned(), Color::Reset));
    assert_eq!(shown(NOON + 13.0 * day), ("certificates end in 13d0h".to_owned(), Color::Yellow));
    assert_eq!(shown(NOON - 1.0), ("certificate has ended".to_owned(), Color::Red));
}

#[test]
fn a_terminal_of_any_size_can_be_drawn_on() {
    let mut fleet = Fleet::new(["a".repeat(300).as_str(), "b"].into_iter());
    fleet.note(0, Duration::ZERO, Ok(Reading::of(&page(BUSY, 1)).unwrap()));
    fleet.note(1, Duration::ZERO, Err("x".repeat(1000)));
    for width in [1, 2, 13, 14, 40, 65, 300] {
        for height in [1, 3, 5, 24] {
            for cursor in 0..3 {
                terminal(&fleet, Cursor(cursor), Colours::Used, (width, height));
            }
        }
    }
    terminal(&Fleet::new(["a"].into_iter()), Cursor(0), Colours::Used, (80, 24));
}

#[test]
fn the_selected_line_is_shown_however_many_gateways_there_are() {
    let names: Vec<String> = (0..100).map(|number| format!("gateway-{number}")).collect();
    let fleet = Fleet::new(names.iter().map(String::as_str));
    let mut cursor = Cursor::default();
    for _ in 0..200 {
        cursor = cursor.down(&fleet);
    }
    assert!(screen(&fleet, cursor, (80, 24)).contains(">gateway-99"));
    for _ in 0..60 {
        cursor = cursor.up();
    }
    let text = screen(&fleet, cursor, (80, 24));
    assert!(text.contains(">gateway-39") && !text.contains("gateway-99"), "{text}");
}

#[test]
fn without_colours_nothing_has_one() {
    let coloured = |colours| {
        let terminal = terminal(&fleet(), Cursor(2), colours, (120, 30));
        let cells = terminal.backend().buffer().content().iter();
        cells.filter(|cell| cell.fg != Color::Reset || cell.bg != Color::Reset).count()
    };
    assert_eq!(coloured(Colours::Unused), 0);
    assert!(coloured(Colours::Used) > 0);
}
