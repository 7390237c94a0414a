//! How tests are written: they wait for something, not for time to pass, and all of them run.

use crate::findings::Findings;
use crate::reading::rust::words;
use crate::reading::tree::{self, File};

/// Files whose tests call `sleep`, with the reason.
const SLEEPING: &[(&str, &str)] = &[
    ("crates/talaria/src/control/drain/tests.rs", "the time is paused"),
    ("crates/talaria/src/device/ends.rs", "the time is paused"),
    ("crates/talaria/src/device/session/tests/acks.rs", "the time is paused"),
    ("crates/talaria/src/device/session/tests/closing.rs", "the time is paused"),
    ("crates/talaria/src/device/session/tests/ends.rs", "the time is paused"),
    ("crates/talaria/src/device/session/tests/liveness.rs", "the time is paused"),
    ("crates/talaria/src/device/session/tests/stop.rs", "the time is paused"),
    ("crates/talaria/src/device/session/tests/takeover.rs", "the time is paused"),
    ("crates/talaria/src/discovery/tests.rs", "the time is paused"),
    ("crates/talaria/src/event/http/deadline_timer.rs", "the time is paused"),
    ("crates/talaria/src/event/http/dial/happy_eyeballs.rs", "the time is paused"),
    ("crates/talaria/src/event/http/dial/lookup/tests.rs", "the time is paused"),
    ("crates/talaria/src/event/http/tests.rs", "the time is paused"),
    (
        "crates/talaria/src/event/http/tests/connections.rs",
        "the time is paused, and a receiver that accepts slowly",
    ),
    ("crates/talaria/src/event/http/tests/credentials.rs", "the time is paused"),
    ("crates/talaria/src/event/http/tests/http2.rs", "the time is paused"),
    ("crates/talaria/src/event/http/tests/named_hosts.rs", "the time is paused"),
    ("crates/talaria/src/event/http/tests/receiver.rs", "a slow receiver, in paused time"),
    ("crates/talaria/src/event/http/tests/receivers.rs", "the time is paused"),
    ("crates/talaria/src/event/tests.rs", "polls threads that know no paused clock, with a bound"),
    ("crates/talaria/src/lateness.rs", "the time is paused"),
    ("crates/talaria/src/server/handshakes.rs", "the time is paused"),
    ("crates/talaria/tests/it/device_memory.rs", "polls another thread's allocations, with a bound"),
    ("crates/talaria/tests/it/jwt_keys.rs", "the time is paused"),
    ("crates/talaria/tests/it/server.rs", "a client that sends slowly; the test ends when the server closes"),
    ("crates/talaria/tests/it/support.rs", "`eventually`, and `time_passes` in paused time"),
    ("crates/talaria/tests/it/support/bad_receiver.rs", "a slow receiver"),
    ("crates/talaria/tests/it/support/consul.rs", "checks that are due, and a query that waits"),
    ("crates/talaria/tests/it/support/receiver.rs", "a slow receiver"),
    ("crates/talaria/tests/it/support/tokens.rs", "a slow key server"),
    ("crates/talaria/tests/sessions/main.rs", "polls threads that know no paused clock, with a bound"),
    ("crates/wrpkafka/src/publisher/tests.rs", "polls a thread that knows no paused clock, with a bound"),
    ("crates/wrpkafka/tests/it/support.rs", "real brokers and a load at a steady rate need real time"),
];

#[test]
fn tests_do_not_sleep() -> Result<(), Findings> {
    let mut findings = Findings::of("sleep");
    for file in tree::files().iter().filter(|file| file.is_rust()) {
        let calls: Vec<usize> = sleeps(file);
        let reason = SLEEPING.iter().find(|(path, _)| *path == file.path);
        match reason {
            None => {
                for line in calls {
                    let what =
                        "a test sleeps: pause time, or wait for a condition with a bound (`eventually`)";
                    findings.add(&file.path, line, what);
                }
            }
            Some((_, reason)) if calls.is_empty() => {
                findings.add(&file.path, 1, format!("sleeps no more: remove it from the list ({reason})"));
            }
            Some(_) => {}
        }
    }
    findings.outcome()
}

#[test]
fn no_test_is_ignored() -> Result<(), Findings> {
    let mut findings = Findings::of("ignored tests");
    for file in tree::files().iter().filter(|file| file.is_rust()) {
        let source = file.source();
        for (offset, _) in source.code.match_indices("#[ignore") {
            let what =
                "an ignored test: make it run, or let a variable make it longer (`TALARIA_LONG_TESTS`)";
            findings.add(&file.path, source.line(offset), what);
        }
    }
    findings.outcome()
}

/// The lines on which the tests of a file call `sleep`.
fn sleeps(file: &File) -> Vec<usize> {
    let source = file.source();
    let is_test_file = ["/tests/", "/tests.rs"].iter().any(|part| file.path.contains(part));
    words(&source.code, "sleep")
        .filter(|at| is_test_file || source.is_test(*at))
        .filter(|at| source.code[*at..].starts_with("sleep("))
        .map(|at| source.line(at))
        .collect()
}
