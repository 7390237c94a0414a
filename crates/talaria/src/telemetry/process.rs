//! The metrics of the process (contract §10.14), read from `/proc/self` whenever the metrics page is requested.
//!
//! The names are those of the official Prometheus clients, with the prefix `<namespace>_process_`. On systems without
//! `/proc` the values stay at zero.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Counter, Gauge, IntGauge};

/// Clock ticks per second in `/proc`. The kernel converts all times for user space to this unit.
const USER_HZ: f64 = 100.0;

pub(super) struct ProcessCollector {
    metrics: Option<ProcessMetrics>,
}

struct ProcessMetrics {
    cpu_seconds: Counter,
    open_fds: IntGauge,
    max_fds: IntGauge,
    virtual_bytes: IntGauge,
    virtual_max_bytes: Gauge,
    resident_bytes: IntGauge,
    start_time: Gauge,
    threads: IntGauge,
}

impl ProcessCollector {
    pub(super) fn new(prefix: &str) -> Self {
        Self { metrics: ProcessMetrics::new(prefix).ok() }
    }
}

impl Collector for ProcessCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.metrics.iter().flat_map(ProcessMetrics::collectors).flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.metrics.iter().for_each(ProcessMetrics::update);
        self.metrics.iter().flat_map(ProcessMetrics::collectors).flat_map(Collector::collect).collect()
    }
}

impl ProcessMetrics {
    fn new(prefix: &str) -> prometheus::Result<Self> {
        let name = |name: &str| format!("{prefix}process_{name}");
        Ok(Self {
            cpu_seconds: Counter::new(
                name("cpu_seconds_total"),
                "Total user and system CPU time spent in seconds.",
            )?,
            open_fds: IntGauge::new(name("open_fds"), "Number of open file descriptors.")?,
            max_fds: IntGauge::new(name("max_fds"), "Maximum number of open file descriptors.")?,
            virtual_bytes: IntGauge::new(name("virtual_memory_bytes"), "Virtual memory size in bytes.")?,
            virtual_max_bytes: Gauge::new(
                name("virtual_memory_max_bytes"),
                "Maximum amount of virtual memory available in bytes.",
            )?,
            resident_bytes: IntGauge::new(name("resident_memory_bytes"), "Resident memory size in bytes.")?,
            start_time: Gauge::new(
                name("start_time_seconds"),
                "Start time of the process since unix epoch in seconds.",
            )?,
            threads: IntGauge::new(name("threads"), "Number of OS threads of the process.")?,
        })
    }

    fn collectors(&self) -> [&dyn Collector; 8] {
        [
            &self.cpu_seconds,
            &self.open_fds,
            &self.max_fds,
            &self.virtual_bytes,
            &self.virtual_max_bytes,
            &self.resident_bytes,
            &self.start_time,
            &self.threads,
        ]
    }

    /// Reads `/proc/self`. A value that cannot be read stays as it was.
    fn update(&self) {
        if let Ok(stat) = fs::read_to_string("/proc/self/stat") {
            self.update_times(&stat);
        }
        if let Some(memory) = Memory::read() {
            self.virtual_bytes.set(memory.virtual_bytes);
            self.resident_bytes.set(memory.resident_bytes);
            self.threads.set(memory.threads);
        }
        if let Some(count) = open_descriptors() {
            self.open_fds.set(count);
        }
        if let Ok(limits) = fs::read_to_string("/proc/self/limits") {
            if let Some(max) = soft_limit(&limits, "Max open files") {
                self.max_fds.set(max as i64);
            }
            if let Some(max) = soft_limit(&limits, "Max address space") {
                self.virtual_max_bytes.set(max);
            }
        }
    }

    fn update_times(&self, stat: &str) {
        // The second field, the program's name in parentheses, may contain blanks and parentheses: count from its end.
        let Some((_, fields)) = stat.rsplit_once(')') else { return };
        let ticks =
            |index: usize| fields.split_ascii_whitespace().nth(index).and_then(|f| f.parse::<f64>().ok());
        if let (Some(user), Some(system)) = (ticks(11), ticks(12)) {
            let spent = (user + system) / USER_HZ - self.cpu_seconds.get();
            self.cpu_seconds.inc_by(spent.max(0.0));
        }
        if self.start_time.get() == 0.0
            && let (Some(after_boot), Some(boot)) = (ticks(19), boot_time())
        {
            self.start_time.set(boot + after_boot / USER_HZ);
        }
    }
}

/// Memory and threads of the process, from `/proc/self/status`.
pub(super) struct Memory {
    pub(super) virtual_bytes: i64,
    pub(super) resident_bytes: i64,
    /// Resident memory that belongs to no file.
    pub(super) anonymous_bytes: i64,
    /// Virtual memory for data.
    pub(super) data_bytes: i64,
    pub(super) threads: i64,
}

impl Memory {
    /// `None` where there is no `/proc`.
    pub(super) fn read() -> Option<Self> {
        let status = fs::read_to_string("/proc/self/status").ok()?;
        let number = |key: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
            line.split_ascii_whitespace().next()?.parse::<i64>().ok()
        };
        let bytes = |key: &str| number(key).unwrap_or(0) * 1024;
        Some(Self {
            virtual_bytes: bytes("VmSize"),
            resident_bytes: bytes("VmRSS"),
            anonymous_bytes: bytes("RssAnon"),
            data_bytes: bytes("VmData"),
            threads: number("Threads").unwrap_or(0),
        })
    }
}

/// How many descriptors the process has. From Linux 6.2 on it is the size of their directory; to read the directory takes 10 ms of
/// CPU for 10,000 of them.
fn open_descriptors() -> Option<i64> {
    const DIRECTORY: &str = "/proc/self/fd";
    let count = match fs::metadata(DIRECTORY).ok()?.len() {
        // One of them is the descriptor of the directory that is being read.
        0 => fs::read_dir(DIRECTORY).ok()?.count() - 1,
        count => usize::try_from(count).unwrap_or(usize::MAX),
    };
    i64::try_from(count).ok()
}

#[expect(clippy::disallowed_methods, reason = "the metric is a time of day")]
fn boot_time() -> Option<f64> {
    let uptime =
        fs::read_to_string("/proc/uptime").ok()?.split_ascii_whitespace().next()?.parse::<f64>().ok()?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs_f64();
    Some(now - uptime)
}

/// The soft limit in the line of `/proc/self/limits` that starts with `name`; `unlimited` is -1, as in other Prometheus
/// clients.
fn soft_limit(limits: &str, name: &str) -> Option<f64> {
    let limit = limits.lines().find_map(|line| line.strip_prefix(name))?.split_ascii_whitespace().next()?;
    if limit == "unlimited" { Some(-1.0) } else { limit.parse().ok() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::metrics::{Metrics, MetricsConfig};

    #[test]
    fn the_metrics_page_has_cpu_memory_files_and_start_of_the_process() {
        let metrics =
            Metrics::new(&MetricsConfig { namespace: "xmidt".to_owned(), ..MetricsConfig::default() });
        let text = String::from_utf8(metrics.gather_text()).unwrap();
        let value = |name: &str| -> f64 {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            line.unwrap_or_else(|| panic!("no {name} in {text}")).parse().unwrap()
        };
        assert!(value("xmidt_process_cpu_seconds_total") >= 0.0);
        assert!(value("xmidt_process_open_fds") >= 1.0);
        assert!(value("xmidt_process_max_fds") >= value("xmidt_process_open_fds"));
        assert!(value("xmidt_process_resident_memory_bytes") > 1024.0);
        assert!(value("xmidt_process_virtual_memory_bytes") >= value("xmidt_process_resident_memory_bytes"));
        assert!(value("xmidt_process_start_time_seconds") > 1.0e9);
        assert!(value("xmidt_process_threads") >= 1.0);
    }

    #[test]
    fn each_open_descriptor_counts() {
        let few = open_descriptors().unwrap();
        // So many that what other tests open and close at the same time does not matter.
        let files: Vec<_> = (0..500).map(|_| fs::File::open("/dev/null").unwrap()).collect();
        let more = open_descriptors().unwrap() - few;
        assert!((250..750).contains(&more), "{more}");
        drop(files);
    }

    #[test]
    fn a_program_name_with_blanks_and_parentheses_does_not_shift_the_times() {
        let metrics = ProcessMetrics::new("").unwrap();
        metrics.update_times("7 (a) b) S 1 7 7 0 -1 4194560 9 8 7 6 150 50 0 0 20 0 3 0 4200 1 2");
        assert!((metrics.cpu_seconds.get() - 2.0).abs() < f64::EPSILON);
    }

    #[test]
    fn an_unlimited_limit_is_minus_one() {
        let limits = "Max address space         unlimited            unlimited            bytes\n";
        assert_eq!(soft_limit(limits, "Max address space"), Some(-1.0));
    }
}
