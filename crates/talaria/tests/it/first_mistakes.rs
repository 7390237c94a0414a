//! The configurations that newcomers break first (contract §9.5, §9.10): each gets one clear line and the exit code that the
//! README promises.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::support::certificates::Authority;

/// What the README says of exit codes.
const VALID: i32 = 0;
const FAILED: i32 = 1;
const WRONG: i32 = 78;

/// What stands above each text, so that a line number says more than "the first".
const BEFORE: &str = "server: t\n";

/// What goes wrong, the configuration, the exit code of a start (`VALID`: it starts, and `config --check` warns), and the line
/// after `talaria: `. PORT is a port in use, DIR a folder.
const MISTAKES: &[(&str, &str, i32, &str)] = &[
    (
        "a key is indented deeper than its neighbours",
        "primary:\n  address: ':0'\n   maxConnections: 5\n",
        WRONG,
        "talaria.yaml:4: not valid YAML: while parsing a block mapping, did not find expected key; the keys of a section begin in the same column",
    ),
    (
        "a tab",
        "primary:\n\taddress: ':0'\n",
        WRONG,
        "talaria.yaml:3: not valid YAML: tabs disallowed within this context (block indentation); indent with blanks",
    ),
    (
        "no blank after a colon",
        "primary:\n  address:':0'\n",
        WRONG,
        r#"talaria.yaml:3: primary is "address:':0'", expected a section, with `: ` after each key"#,
    ),
    ("a quote that does not end", "region: 'east\n", WRONG, "talaria.yaml:2: not valid YAML: unclosed quote"),
    (
        "a bracket that does not end",
        "primary: {address: ':0'\n",
        WRONG,
        "talaria.yaml:2: not valid YAML: unclosed bracket '{'",
    ),
    (
        "a bare asterisk",
        "kafka:\n  initialDynamicConfig:\n    topicMap:\n    - pattern: *\n      topic: events\n",
        WRONG,
        "talaria.yaml:5: not valid YAML: while scanning an anchor or alias, did not find expected alphabetic or numeric character; put a text that begins with `*` or `&` into quotes",
    ),
    (
        "the same key twice",
        "region: east\nregion: west\n",
        WRONG,
        "talaria.yaml:3: not valid YAML: duplicate mapping key: region",
    ),
    (
        "a section whose keys are not indented",
        "kafka:\nenabled: true\n",
        VALID,
        "warning: talaria.yaml:3: enabled is not a known key and is ignored; did you mean kafka.enabled? Then indent it more than kafka:",
    ),
    (
        "a misspelt key",
        "kafak: {enabled: true}\n",
        VALID,
        "warning: talaria.yaml:2: kafak is not a known key and is ignored; did you mean kafka?",
    ),
    (
        "a word for a number",
        "device: {manager: {maxDevices: many}}\n",
        WRONG,
        r#"talaria.yaml:2: device.manager.maxDevices is "many", expected a whole number"#,
    ),
    (
        "yes for true",
        "failOpen: yes\n",
        WRONG,
        r#"talaria.yaml:2: failOpen is "yes", expected true or false"#,
    ),
    (
        "a duration in words",
        "shutdownTimeout: 30 seconds\n",
        WRONG,
        r#"talaria.yaml:2: shutdownTimeout is "30 seconds", expected a duration such as 30s, 1m30s or 500ms (a number means nanoseconds)"#,
    ),
    (
        "a duration without a unit",
        "shutdownTimeout: 30\n",
        VALID,
        "warning: talaria.yaml:2: shutdownTimeout is 30, which means 30 nanoseconds; a duration has a unit, such as 30s",
    ),
    (
        "a port without a colon",
        "primary: {address: 6200}\n",
        WRONG,
        "talaria.yaml:2: primary.address is 6200, expected host:port, or :port for every interface",
    ),
    (
        "a port that does not exist",
        "primary: {address: ':70000'}\n",
        WRONG,
        r#"talaria.yaml:2: primary.address is ":70000", expected host:port, or :port for every interface"#,
    ),
    (
        "a port in use",
        "primary: {address: '127.0.0.1:PORT'}\n",
        FAILED,
        "the primary server cannot listen on 127.0.0.1:PORT (key primary.address): Address already in use (os error 98)",
    ),
    (
        "an address of another host",
        "primary: {address: '192.0.2.1:6200'}\n",
        FAILED,
        "the primary server cannot listen on 192.0.2.1:6200 (key primary.address): Cannot assign requested address (os error 99)",
    ),
    (
        "a user and password that are not encoded",
        "inbound: {authKey: 'user:password'}\n",
        WRONG,
        "talaria.yaml:2: inbound.authKey is a hidden value, expected base64 of user:password, one or a list",
    ),
    (
        "a certificate without its key",
        "primary: {certificateFile: [DIR/gateway.pem]}\n",
        WRONG,
        "primary.keyFile names 0 files, expected as many as certificateFile, which names 1",
    ),
    (
        "a certificate that is not there",
        "primary: {certificateFile: [DIR/none.pem], keyFile: [DIR/gateway.key]}\n",
        WRONG,
        "talaria.yaml:2: primary.certificateFile DIR/none.pem: cannot be read: No such file or directory (os error 2)",
    ),
    (
        "the key of another certificate",
        "primary: {certificateFile: [DIR/gateway.pem], keyFile: [DIR/other.key]}\n",
        WRONG,
        "talaria.yaml:2: primary.keyFile DIR/other.key: ",
    ),
    (
        "an endpoint without a scheme",
        "device: {outbound: {eventEndpoints: {default: 'caduceus:6000'}}}\n",
        VALID,
        "warning: talaria.yaml:2: device.outbound.eventEndpoints.default has a URL that cannot be used, events to it are dropped: the scheme of the URL is neither http nor https",
    ),
    (
        "an endpoint that is not under an event type",
        "device: {outbound: {eventEndpoints: 'http://caduceus:6000'}}\n",
        WRONG,
        r#"talaria.yaml:2: device.outbound.eventEndpoints is "http://caduceus:6000", expected a section"#,
    ),
    (
        "Kafka without a broker",
        "kafka: {enabled: true}\n",
        WRONG,
        "kafka.brokers is empty: expected at least one `host:port`",
    ),
    (
        "a broker at a port that does not exist",
        "kafka: {enabled: true, brokers: ['kafka-1:99999']}\n",
        WRONG,
        "talaria.yaml:2: kafka.brokers[0] `kafka-1:99999` is not an address: expected `host:port`, and `[…]` around an IPv6 address",
    ),
    (
        "a broker as a URL",
        "kafka: {enabled: true, brokers: ['http://127.0.0.1:PORT']}\n",
        VALID,
        r#"warning: talaria.yaml:2: kafka.brokers[0] is "http://127.0.0.1:PORT", whose scheme is dropped; expected host:port"#,
    ),
    (
        "half of the name of a SASL mechanism",
        "kafka: {enabled: true, brokers: ['k:9092'], sasl: {mechanism: SCRAM, username: u, password: p}}\n",
        WRONG,
        r#"talaria.yaml:2: kafka.sasl.mechanism is "SCRAM", expected PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER"#,
    ),
    (
        "a user of Kafka without a password",
        "kafka: {enabled: true, brokers: ['k:9092'], sasl: {mechanism: PLAIN, username: u}}\n",
        WRONG,
        "kafka.sasl.password is empty: PLAIN needs one, here or in passwordFile",
    ),
    (
        "a topic that Kafka cannot have",
        "kafka: {enabled: true, brokers: ['k:9092'], initialDynamicConfig: {topicMap: [{pattern: '*', topic: 'my topic'}]}}\n",
        WRONG,
        "talaria.yaml:2: kafka.initialDynamicConfig.topicMap[0].topic `my topic` is not a topic name: expected 1 to 249 of a-z, A-Z, 0-9, `.`, `_` and `-`, but not `.` or `..`",
    ),
    (
        "a log in a folder that is not there",
        "zap: {outputPaths: [DIR/none/talaria.log]}\n",
        WRONG,
        "talaria.yaml:2: zap.outputPaths names DIR/none/talaria.log, which cannot be written to: No such file or directory (os error 2)",
    ),
];

#[test]
fn each_mistake_of_a_newcomer_gets_a_clear_line_and_the_exit_code_that_the_readme_promises() {
    assert!(MISTAKES.len() >= 22, "the issue names twenty-two");
    let folder = folder("first-mistakes");
    let authority = Authority::new();
    for name in ["gateway", "other"] {
        let (certificate, key) = authority.issue(&["localhost"]);
        fs::write(folder.join(format!("{name}.pem")), certificate).unwrap();
        fs::write(folder.join(format!("{name}.key")), key).unwrap();
    }
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let filled = |text: &str| text.replace("PORT", &port).replace("DIR", &folder.display().to_string());

    for (mistake, text, code, expected) in MISTAKES {
        fs::write(folder.join("talaria.yaml"), format!("{BEFORE}{}", filled(text))).unwrap();
        let expected = format!("talaria: {}", filled(expected));
        // A gateway that starts would run until it is stopped.
        let arguments: &[&str] = if *code == VALID { &["config", "--check"] } else { &[] };
        let (ended, lines) = run(&folder, arguments);
        assert_eq!(ended, Some(*code), "{mistake}: {lines}");
        let found = lines.lines().filter(|line| line.starts_with(&expected)).count();
        assert_eq!(found, 1, "{mistake}: expected {expected}\nbut there was\n{lines}");
        let others =
            lines.lines().filter(|line| line.starts_with("talaria: ") && !line.contains("source is"));
        assert_eq!(others.count(), 1, "{mistake} is the only thing that is said:\n{lines}");

        // `config --check` finds everything but what only a start can try.
        let (checked, lines) = run(&folder, &["config", "--check"]);
        let expected = if *code == FAILED { VALID } else { *code };
        assert_eq!(checked, Some(expected), "{mistake}: {lines}");
    }
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_file_that_is_missing_a_folder_or_not_a_text_is_named() {
    let folder = folder("no-file");
    for (content, arguments, expected) in [
        (None, &["--file", "./none.yaml"][..], "\"./none.yaml\""),
        (None, &["--file", "."][..], "\".\""),
        (Some(b"\xff\xfes\x00".as_slice()), &[][..], "cannot read the configuration file "),
    ] {
        if let Some(content) = content {
            fs::write(folder.join("talaria.yaml"), content).unwrap();
        }
        let (code, lines) = run(&folder, arguments);
        assert_eq!(code, Some(WRONG), "{lines}");
        assert!(lines.contains(expected) && lines.lines().count() == 1, "{lines}");
    }
    fs::remove_dir_all(folder).unwrap();
}

/// Runs the gateway with what this folder has as `talaria.yaml`, unless the arguments name another file: its exit code, and what
/// it writes to stderr.
fn run(folder: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_talaria"));
    command.current_dir(folder).env_clear().stdin(Stdio::null());
    // Ports that are free, where the mistake is elsewhere.
    command.env("TALARIA_HEALTH_ADDRESS", "127.0.0.1:0").env("TALARIA_METRIC_ADDRESS", "127.0.0.1:0");
    let output = command.args(arguments).output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    folder
}
