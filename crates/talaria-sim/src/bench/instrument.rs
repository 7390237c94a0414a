//! Tools that count what the gateway's process does while a row is measured: instructions by callgrind, system calls by perf.
//!
//! Counts do not depend on how busy the machine is, or hardly. A tool slows the gateway down, so a run with one has no
//! other figures than its counts. None of them is needed for anything else: a machine may lack them.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::process::Process;

/// How long perf takes at most to look for the threads of the gateway.
const ATTACH: Duration = Duration::from_millis(500);

/// Where the kernel lists what perf can count.
const TRACEPOINTS: &str = "/sys/kernel/tracing/events";

/// The system calls that are counted by name, as far as the platform has them.
const SYSTEM_CALLS: [&str; 17] = [
    "accept4",
    "close",
    "epoll_ctl",
    "epoll_pwait",
    "epoll_pwait2",
    "epoll_wait",
    "futex",
    "poll",
    "ppoll",
    "read",
    "recvfrom",
    "recvmsg",
    "sendmmsg",
    "sendmsg",
    "sendto",
    "write",
    "writev",
];

/// A tool that counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Instrument {
    /// Instructions in user mode, by valgrind's callgrind, which runs one thread at a time and some fifty times slower
    Callgrind,
    /// System calls and context switches, by perf
    Perf,
}

/// Why nothing was counted.
#[derive(Debug, thiserror::Error)]
pub enum InstrumentError {
    /// The tool is not installed, or may not be used.
    #[error("cannot run {program}: {source}")]
    Run {
        /// The program.
        program: &'static str,
        /// The system's error.
        source: io::Error,
    },
    /// The tool failed, or its output is not understood.
    #[error("{program} failed: {output}")]
    Failed {
        /// The program.
        program: &'static str,
        /// What it printed.
        output: String,
    },
}

/// Counts until it is finished.
#[derive(Debug)]
pub(super) enum Counting {
    Callgrind { pid: u32 },
    Perf { child: Child },
}

impl Instrument {
    /// What stands before the gateway's program on its command line.
    pub(super) fn prefix(self) -> Vec<OsString> {
        match self {
            Self::Callgrind => {
                let mut file = OsString::from("--callgrind-out-file=");
                file.push(dump_file("%p"));
                // Nothing is counted before it is asked for.
                let options = ["valgrind", "--quiet", "--tool=callgrind", "--instr-atstart=no"];
                options.into_iter().map(OsString::from).chain([file]).collect()
            }
            Self::Perf => vec![],
        }
    }

    pub(super) fn start(self, process: Process) -> Result<Counting, InstrumentError> {
        let pid = process.pid();
        match self {
            Self::Callgrind => {
                callgrind_control(pid, "--instr=on")?;
                Ok(Counting::Callgrind { pid })
            }
            Self::Perf => {
                let child = Command::new("perf")
                    .args(["stat", "--field-separator", ",", "--event", &perf_events()])
                    .args(["--pid", &pid.to_string()])
                    .stdin(Stdio::null())
                    .stdout(Stdio::null())
                    .stderr(Stdio::piped())
                    .spawn()
                    .map_err(|source| InstrumentError::Run { program: "perf", source })?;
                // perf does not say when it has begun.
                std::thread::park_timeout(ATTACH);
                Ok(Counting::Perf { child })
            }
        }
    }
}

impl Counting {
    /// What was counted since the start, by name.
    pub(super) fn finish(self) -> Result<BTreeMap<String, u64>, InstrumentError> {
        match self {
            Self::Callgrind { pid } => {
                callgrind_control(pid, "--instr=off")?;
                callgrind_control(pid, "--dump")?;
                instructions(pid)
            }
            Self::Perf { child } => {
                let run = |source| InstrumentError::Run { program: "perf", source };
                Process::new(child.id()).interrupt().map_err(run)?;
                let output = child.wait_with_output().map_err(run)?;
                parse_perf(&String::from_utf8_lossy(&output.stderr))
            }
        }
    }
}

/// callgrind adds a number to the name of each dump: `.1`, `.2`, …
fn dump_file(pid: &str) -> PathBuf {
    std::env::temp_dir().join(format!("talaria-sim-callgrind-{pid}"))
}

fn callgrind_control(pid: u32, action: &str) -> Result<(), InstrumentError> {
    let program = "callgrind_control";
    let output = Command::new(program)
        .args([action, &pid.to_string()])
        .stdin(Stdio::null())
        .output()
        .map_err(|source| InstrumentError::Run { program, source })?;
    let Output { status, stdout, stderr } = output;
    let text = String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned();
    if status.success() && !text.contains("Error") {
        return Ok(());
    }
    Err(InstrumentError::Failed { program, output: text })
}

/// Reads the latest dump. Only that one stays, for `callgrind_annotate`.
fn instructions(pid: u32) -> Result<BTreeMap<String, u64>, InstrumentError> {
    let program = "callgrind";
    let file = dump_file(&pid.to_string());
    let number = |path: &Path| {
        let suffix = path.to_str()?.strip_prefix(file.to_str()?)?.strip_prefix('.')?;
        suffix.parse::<u32>().ok()
    };
    let folder =
        fs::read_dir(std::env::temp_dir()).map_err(|source| InstrumentError::Run { program, source })?;
    let found = folder.filter_map(|entry| entry.ok().map(|entry| entry.path()));
    let mut dumps: Vec<_> = found.filter_map(|path| Some((number(&path)?, path))).collect();
    dumps.sort();
    let Some((_, last)) = dumps.pop() else {
        return Err(InstrumentError::Failed { program, output: format!("no dump at {}", file.display()) });
    };
    for (_, earlier) in dumps {
        // Nothing depends on it.
        let _ = fs::remove_file(earlier);
    }
    let text = fs::read_to_string(&last).map_err(|source| InstrumentError::Run { program, source })?;
    let total = parse_callgrind(&text);
    total.map(|total| [("instructions".to_owned(), total)].into()).ok_or_else(|| {
        let output = format!("no total in {}", last.display());
        InstrumentError::Failed { program, output }
    })
}

/// The totals of all threads.
fn parse_callgrind(dump: &str) -> Option<u64> {
    let total = dump.lines().find_map(|line| line.strip_prefix("totals:"))?;
    total.split_whitespace().next()?.parse().ok()
}

fn perf_events() -> String {
    let is_known =
        |name: &&&str| Path::new(TRACEPOINTS).join("syscalls").join(format!("sys_enter_{name}")).exists();
    let by_name = SYSTEM_CALLS.iter().filter(is_known).map(|name| format!("syscalls:sys_enter_{name}"));
    ["raw_syscalls:sys_enter".to_owned(), "context-switches".to_owned()]
        .into_iter()
        .chain(by_name)
        .collect::<Vec<_>>()
        .join(",")
}

/// `4120,,syscalls:sys_enter_futex,…`
fn parse_perf(text: &str) -> Result<BTreeMap<String, u64>, InstrumentError> {
    let mut counts = BTreeMap::new();
    for line in text.lines() {
        let fields: Vec<_> = line.split(',').collect();
        let &[count, _, event, ..] = &*fields else { continue };
        let Ok(count) = count.parse::<u64>() else { continue };
        let name = match event.split_once(":sys_enter") {
            Some(("raw_syscalls", _)) => "system_calls".to_owned(),
            Some((_, name)) => format!("system_calls.{}", name.trim_start_matches('_')),
            None => event.replace('-', "_"),
        };
        if count > 0 {
            counts.insert(name, count);
        }
    }
    if counts.contains_key("system_calls") {
        return Ok(counts);
    }
    Err(InstrumentError::Failed { program: "perf", output: text.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_perf_prints_is_read_by_name() {
        let printed = "# started\n\n8400,,raw_syscalls:sys_enter,9512,100.00,,\n700,,context-switches,9,100.00,,\n\
                       2060,,syscalls:sys_enter_writev,9,100.00,,\n0,,syscalls:sys_enter_poll,9,100.00,,\n";
        let counts = parse_perf(printed).unwrap();
        let expected = [("context_switches", 700), ("system_calls", 8400), ("system_calls.writev", 2060)];
        assert_eq!(counts, expected.map(|(name, count)| (name.to_owned(), count)).into());
        let error = parse_perf("Error: no permission").unwrap_err();
        assert!(error.to_string().contains("no permission"), "{error}");
    }

    #[test]
    fn the_total_of_a_dump_is_found() {
        assert_eq!(parse_callgrind("events: Ir\nfn=(1)\n12 5\n\ntotals: 123456\n"), Some(123_456));
        assert_eq!(parse_callgrind("events: Ir\n"), None);
    }
}
