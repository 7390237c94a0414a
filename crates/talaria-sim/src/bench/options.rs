//! The options of the benchmark.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{ArgGroup, Args};
use talaria_protocol::go::duration::parse_option;

use super::instrument::Instrument;
use super::load::LoadPlace;
use super::row::{ROWS, Row};
use crate::testbed::TestbedOptions;

/// The gateway and its load, and how much of it is measured.
#[derive(Debug, Clone, Args)]
#[group(id = "bench")]
#[command(group = ArgGroup::new("is_by_rows").args(["rows", "all"]))]
pub struct Options {
    #[command(flatten)]
    pub(super) testbed: TestbedOptions,

    /// Number of events that the devices send
    #[arg(long, default_value_t = 100_000)]
    pub(super) events: u64,

    /// Number of events in flight at the same time
    #[arg(long, default_value_t = 500)]
    pub(super) window: usize,

    /// Number of requests that go through the API to the devices
    #[arg(long, default_value_t = 10_000)]
    pub(super) requests: u64,

    /// Number of requests in flight at the same time
    #[arg(long, default_value_t = 32)]
    pub(super) requesting: usize,

    /// Wait at most this time for the gateway's memory to stop changing before it is read
    #[arg(long, value_name = "TIME", default_value = "2m", value_parser = parse_option)]
    pub(super) settle: Duration,

    /// Measure this row of the table of costs, with a gateway of its own, instead of all phases in one run; may be repeated
    #[arg(long = "row", value_name = "NAME", requires = "spawn")]
    rows: Vec<Row>,

    /// Measure all rows that are about one gateway: all but `fleet`
    #[arg(long, requires = "spawn", conflicts_with = "rows")]
    all: bool,

    /// Measure this gateway program, too, in turns with that of --spawn, and print the ratios
    #[arg(long, value_name = "PATH", requires = "is_by_rows")]
    pub(super) against: Option<PathBuf>,

    /// Measure each row this many times, and print the medians; 5 with --against, otherwise 1
    #[arg(long, requires = "is_by_rows", value_parser = clap::value_parser!(u32).range(1..=1000))]
    turns: Option<u32>,

    /// Send events for this time in the rows with a fixed rate
    #[arg(long = "for", value_name = "TIME", default_value = "20s", value_parser = parse_option)]
    pub(super) run_for: Duration,

    /// Gateways of the row `fleet`, among which its devices are divided. Each has a load process of its own, and both may
    /// open as many files as the system allows a process
    #[arg(long, value_name = "NUMBER", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=100))]
    gateways: u32,

    /// Events per second that all devices of the row `fleet` send together
    #[arg(long, value_name = "NUMBER", default_value_t = 2000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(super) fleet_rate: u32,

    /// Where the loads of the row `fleet` run
    #[arg(skip)]
    pub(super) load_place: LoadPlace,

    /// Let this tool count while each row is measured, and print its counts instead of times
    #[arg(long, value_name = "TOOL", requires = "is_by_rows")]
    pub(super) count: Option<Instrument>,

    /// Compare with this file, which an earlier run has written by --json on this machine with the same version of this tool
    #[arg(long, value_name = "FILE", requires = "is_by_rows")]
    pub(super) baseline: Option<PathBuf>,
}

impl Options {
    /// Whether rows are measured, instead of all phases in one run.
    #[must_use]
    pub fn is_by_rows(&self) -> bool {
        self.all || !self.rows.is_empty()
    }

    /// Runs the loads of the row `fleet` in this process, as programs other than `talaria-sim` must.
    #[must_use]
    pub fn with_loads_in_this_process(self) -> Self {
        Self { load_place: LoadPlace::ThisProcess, ..self }
    }

    /// The number of gateways of the row `fleet`.
    pub(super) fn gateways(&self) -> usize {
        self.gateways as usize
    }

    /// The rows to measure.
    pub(super) fn rows(&self) -> Vec<Row> {
        if self.all {
            ROWS.into_iter().filter(|row| !row.is_by_name_only()).collect()
        } else {
            self.rows.clone()
        }
    }

    /// How often each row is measured.
    pub(super) fn turns(&self) -> usize {
        let default = if self.against.is_some() { 5 } else { 1 };
        self.turns.map_or(default, |turns| turns as usize)
    }

    /// The file for the results as JSON, if one is given.
    #[must_use]
    pub fn json(&self) -> Option<&Path> {
        self.testbed.json.as_deref()
    }
}
