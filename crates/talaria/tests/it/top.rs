//! `talaria top` on running gateways, as an operator uses it: its lines, its exit codes, and its screen on a real terminal.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use crate::support::process::GatewayProcess;

const PATIENCE: Duration = Duration::from_secs(30);

fn top(arguments: &[&str]) -> (Output, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_talaria")).arg("top").args(arguments).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let (out, errors) = (text(&output.stdout), text(&output.stderr));
    (output, out, errors)
}

/// An address where nothing listens.
fn nowhere() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

#[tokio::test]
async fn a_line_has_the_devices_of_all_gateways_and_rates_from_the_second_one_on() {
    let (first, second) = (GatewayProcess::start("").await, GatewayProcess::start("").await);
    let mut devices = Vec::new();
    for number in 0..3 {
        devices.push(first.device(&format!("mac:00000000000{number}")).await);
    }
    devices.push(second.device("mac:000000000009").await);
    let gateways = [first.metric_address(), second.metric_address()].map(|address| address.to_string());
    let away = nowhere().to_string();
    let (output, lines, errors) =
        top(&[&gateways[0], &gateways[1], &away, "--plain", "--interval", "500ms", "--for", "1s"]);
    assert!(output.status.success(), "{errors}");
    let lines: Vec<&str> = lines.lines().collect();
    assert_eq!(lines.len(), 3, "{lines:?}");
    for (number, line) in lines.iter().enumerate() {
        let rate = if number == 0 { "-" } else { "0.0" };
        for part in [
            "gateways=3 reached=2 devices=4 ".to_owned(),
            format!(" connects={rate} "),
            format!(" kafka_failed={rate} "),
            format!(" unreached={away}"),
        ] {
            assert!(line.contains(&part), "{part} in {line}");
        }
    }
    let expected = format!("talaria: {away}: not reached: Connection refused");
    assert!(errors.starts_with(&expected) && errors.lines().count() == 1, "once, not each time:\n{errors}");
}

#[tokio::test]
async fn credentials_of_a_url_are_sent_and_never_printed() {
    let key = "b3BzOnMzY3JldA==";
    let section = format!("metric: {{address: '127.0.0.1:0', authKey: '{key}'}}\n");
    let servers = "primary: {address: '127.0.0.1:0'}\nhealth: {address: '127.0.0.1:0'}\n";
    let gateway = GatewayProcess::start_at(&format!("{servers}{section}"), "").await;
    let address = gateway.metric_address();
    for (credentials, is_reached) in [("ops:s3cret@", true), ("ops:s4cret@", false), ("", false)] {
        let (output, lines, errors) =
            top(&[&format!("http://{credentials}{address}"), "--plain", "--for", "0s"]);
        assert_eq!(output.status.code(), Some(i32::from(!is_reached)), "{errors}");
        assert!(lines.contains(&format!("reached={}", u8::from(is_reached))), "{lines}");
        assert_eq!(errors.contains("the credentials are wrong or missing"), !is_reached, "{errors}");
        assert!(!format!("{lines}{errors}").contains("cret"), "{lines}{errors}");
    }
}

#[test]
fn without_any_gateway_the_exit_code_is_1_and_of_a_wrong_command_line_64() {
    let away = nowhere().to_string();
    let (output, lines, errors) = top(&[&away, "--for", "0s"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(lines.starts_with("time=") && !lines.contains('\x1b'), "no terminal, so a line: {lines}");
    assert!(errors.ends_with("talaria: no gateway was reached\n"), "{errors}");
    for arguments in
        [&["ftp://me:s3cret@host"][..], &["--interval", "1ms"], &["--interval", "fast"], &["--nope"]]
    {
        let (output, _, errors) = top(arguments);
        assert_eq!(output.status.code(), Some(64), "{errors}");
        assert!(!errors.contains("s3cret"), "{errors}");
    }
}

/// `talaria top` on a terminal of its own, which `script` makes.
struct OnTerminal {
    script: Child,
    keys: Option<ChildStdin>,
    output: Receiver<Vec<u8>>,
    /// What has been written to the terminal.
    text: String,
}

impl OnTerminal {
    /// On 30 lines of 120 columns. The terminal's settings are printed before and after.
    fn start(gateway: SocketAddr, environment: &[(&str, &str)]) -> Self {
        let binary = env!("CARGO_BIN_EXE_talaria");
        let command = format!(
            "stty rows 30 cols 120; tty; echo settings=$(stty -g); sh -c 'echo pid=$$; exec {binary} top {gateway}'; \
             echo code=$?; echo settings=$(stty -g)"
        );
        let mut script = Command::new("script")
            .args(["--quiet", "--return", "--command", &command, "/dev/null"])
            .env("TERM", "xterm-256color")
            .envs(environment.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, output) = channel();
        let mut out = script.stdout.take().unwrap();
        std::thread::spawn(move || {
            let mut buffer = [0; 65_536];
            while let Ok(length @ 1..) = out.read(&mut buffer) {
                _ = sender.send(buffer[..length].to_vec());
            }
        });
        let keys = script.stdin.take();
        Self { script, keys, output, text: String::new() }
    }

    /// Waits until this has been written behind the first `seen` bytes, and returns where it ends.
    fn shows(&mut self, part: &str, seen: usize) -> usize {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(at) = self.text[seen..].find(part) {
                return seen + at + part.len();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            match self.output.recv_timeout(left) {
                Ok(bytes) => self.text.push_str(&String::from_utf8_lossy(&bytes)),
                Err(error) => panic!("{part:?}: {error} behind {seen} bytes of\n{:?}", self.text),
            }
        }
    }

    /// What follows this text, up to the end of the line.
    fn value(&self, name: &str) -> &str {
        let (_, rest) = self.text.split_once(name).unwrap();
        rest.split(['\r', '\n']).next().unwrap()
    }

    fn press(&mut self, keys: &str) {
        self.keys.as_mut().unwrap().write_all(keys.as_bytes()).unwrap();
    }

    /// Waits for the end, after which the terminal must be as it was before.
    fn ends(&mut self) {
        let ended = self.shows("code=0", 0);
        let after = self.shows("settings=", ended);
        self.shows("\n", after);
        let settings: Vec<&str> = self.text.split("settings=").skip(1).collect();
        let [before, after] = settings[..] else { panic!("{settings:?}") };
        assert_eq!(before.lines().next(), after.lines().next(), "raw mode is off");
        let left = self.text.find("\x1b[?1049l").expect("the alternate screen is left");
        assert!(left < ended && self.text[..ended].contains("\x1b[?25h"), "the cursor is shown again");
    }
}

impl Drop for OnTerminal {
    fn drop(&mut self) {
        drop(self.keys.take());
        _ = self.script.kill();
        _ = self.script.wait();
    }
}

#[tokio::test]
async fn a_screen_follows_the_size_of_the_terminal_and_gives_it_back() {
    let gateway = GatewayProcess::start("").await;
    let _device = gateway.device("mac:000000000001").await;
    let mut top = OnTerminal::start(gateway.metric_address(), &[("NO_COLOR", "1")]);
    let wide = top.shows("kafka99", 0);
    let wide = top.shows("generation", wide);
    let terminal = top.value("/dev/").to_owned();
    let resized =
        Command::new("stty").args(["-F", &format!("/dev/{terminal}"), "cols", "66"]).status().unwrap();
    assert!(resized.success(), "/dev/{terminal}");
    let narrow = top.shows("kafka/s", wide);
    let narrow = top.shows("generation", narrow);
    assert!(
        !top.text[wide..narrow].contains("kafka99"),
        "66 columns have no room for it: {:?}",
        &top.text[wide..]
    );
    top.press("q");
    top.ends();
    assert!(!top.text.contains("\x1b[38;"), "no colours: {:?}", top.text);
}

#[tokio::test]
async fn ctrl_c_escape_and_sigterm_give_the_terminal_back() {
    let gateway = GatewayProcess::start("").await;
    for keys in ["\x03", "\x1b"] {
        let mut top = OnTerminal::start(gateway.metric_address(), &[]);
        top.shows("reached", 0);
        top.press(keys);
        top.ends();
    }
    let mut top = OnTerminal::start(gateway.metric_address(), &[]);
    top.shows("reached", 0);
    let killed = Command::new("kill").args(["-TERM", top.value("pid=")]).status().unwrap();
    assert!(killed.success());
    top.ends();
}
