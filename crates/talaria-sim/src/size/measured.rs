//! Costs from a file that `talaria-sim bench` by rows has written, in place of the built-in ones.
//!
//! The file may be of another machine than this one: a plan for servers can be made at a desk. It must be of this version of
//! the tool, since another one may measure something else under the same name.

use std::fmt::{self, Display};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::costs::{Connection, Costs, CpuCost, EVENT, EVENT_WITHOUT_ACK, REQUEST};
use super::units::Bytes;
use crate::bench::rows::{ReportFileError, RowsReport, Tool};

/// The results of rows.
#[derive(Debug)]
pub struct Measured {
    path: PathBuf,
    report: RowsReport,
}

/// Why a plan cannot be made with a file.
#[derive(Debug, thiserror::Error)]
pub enum MeasuredError {
    /// The file has no results.
    #[error(transparent)]
    File(#[from] ReportFileError),
    /// It was made by other code.
    #[error("{path} was measured by another version of this tool ({theirs:?}, this is {ours:?}): measure again", path = .path.display())]
    Tool {
        /// The file.
        path: PathBuf,
        /// What made the file.
        theirs: Tool,
        /// This tool.
        ours: Tool,
    },
    /// A row is missing.
    #[error("{path} has no row {row}: measure it with `talaria-sim bench --row {row}`", path = .path.display())]
    Row {
        /// The file.
        path: PathBuf,
        /// The row.
        row: &'static str,
    },
    /// A row has no figures.
    #[error("the row {row} of {path} was not clean, so it has no figures", path = .path.display())]
    NotClean {
        /// The file.
        path: PathBuf,
        /// The row.
        row: &'static str,
    },
    /// A row lacks a figure, or it is not above zero.
    #[error("the row {row} of {path} has no figure {figure} above zero", path = .path.display())]
    Figure {
        /// The file.
        path: PathBuf,
        /// The row.
        row: &'static str,
        /// The figure.
        figure: &'static str,
    },
}

impl Measured {
    /// Reads the file.
    ///
    /// # Errors
    /// If it cannot be read, is no result of rows, or was measured by another version of this tool.
    pub fn read(path: &Path) -> Result<Self, MeasuredError> {
        Self::of(path.to_owned(), RowsReport::read(path)?)
    }

    fn of(path: PathBuf, report: RowsReport) -> Result<Self, MeasuredError> {
        let ours = Tool::this();
        if report.tool != ours {
            return Err(MeasuredError::Tool { path, theirs: report.tool, ours });
        }
        Ok(Self { path, report })
    }

    /// The costs that the rows say. What no row measures is derived from those that do, by the built-in ratio; pings are not measured at
    /// all, and have the built-in cost.
    ///
    /// # Errors
    /// If a row that they need is missing, was not clean, or lacks a figure.
    pub fn costs(&self, connection: Connection) -> Result<Costs, MeasuredError> {
        let (idle, connect) = match connection {
            Connection::Plain => ("idle", "connect"),
            Connection::Tls => ("idle-tls", "connect-tls"),
        };
        let connect = self.cpu(connect)?;
        Ok(Costs {
            event: over(connection, self.cpu("event-both-qos80-3000")?, EVENT),
            event_without_ack: over(connection, self.cpu("event-both-qos10-3000")?, EVENT_WITHOUT_ACK),
            request: over(connection, self.cpu("request")?, REQUEST),
            connect,
            resumed_connect: match connection {
                Connection::Plain => connect,
                Connection::Tls => self.cpu("connect-tls-resumed")?,
            },
            device: self.memory(idle, "bytes")?,
            kernel: self.memory(idle, "kernel_bytes")?,
            ..Costs::measured(connection)
        })
    }

    fn cpu(&self, row: &'static str) -> Result<Duration, MeasuredError> {
        let figure = "cpu_us";
        let micros = self.figure(row, figure)?;
        Duration::try_from_secs_f64(micros / 1e6).map_err(|_| self.no_figure(row, figure))
    }

    fn memory(&self, row: &'static str, figure: &'static str) -> Result<Bytes, MeasuredError> {
        let bytes = self.figure(row, figure)?.round();
        let in_bounds = (1.0..=f64::from(u32::MAX)).contains(&bytes);
        if in_bounds { Ok(Bytes::new(bytes as u32)) } else { Err(self.no_figure(row, figure)) }
    }

    fn figure(&self, row: &'static str, figure: &'static str) -> Result<f64, MeasuredError> {
        let path = || self.path.clone();
        let result =
            self.report.measured.rows.get(row).ok_or_else(|| MeasuredError::Row { path: path(), row })?;
        let median = result.median.as_ref().ok_or_else(|| MeasuredError::NotClean { path: path(), row })?;
        let value = median.0.get(figure).copied().filter(|value| *value > 0.0);
        value.ok_or_else(|| self.no_figure(row, figure))
    }

    fn no_figure(&self, row: &'static str, figure: &'static str) -> MeasuredError {
        MeasuredError::Figure { path: self.path.clone(), row, figure }
    }
}

/// Where the costs are from.
impl Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (path, machine) = (self.path.display(), &self.report.machine);
        write!(
            f,
            "{path}: {} on {}, {} x {}, Linux {}; those of pings are built in",
            self.report.measured.gateway, machine.host, machine.cores, machine.cpu, machine.kernel
        )
    }
}

/// What a cost that was measured without TLS is over this connection, by the ratio of the built-in ones.
fn over(connection: Connection, measured: Duration, built_in: CpuCost) -> Duration {
    match connection {
        Connection::Plain => measured,
        Connection::Tls => times(measured, built_in.tls, built_in.plain),
    }
}

fn times(cost: Duration, numerator: Duration, denominator: Duration) -> Duration {
    cost.mul_f64(numerator.as_secs_f64() / denominator.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn report() -> serde_json::Value {
        let row = |figures: serde_json::Value| json!({"median": figures, "runs": []});
        let tool = Tool::this();
        json!({
            "machine": {"host": "h", "cpu": "c", "cores": 4, "kernel": "6"},
            "tool": {"version": tool.version, "sources": tool.sources},
            "size": {"devices": 1, "events": 1, "seconds": 1.0, "requests": 1, "event_bytes": 1, "window": 1,
                "gateways": 1, "fleet_rate": 1, "count": null},
            "turns": 1,
            "measured": {
                "gateway": {"program": "talaria", "version": "1", "commit": "abc"},
                "rows": {
                    "idle": row(json!({"bytes": 1500.4, "kernel_bytes": 2500.0})),
                    "idle-tls": row(json!({"bytes": 5000.0, "kernel_bytes": 2600.0})),
                    "connect": row(json!({"cpu_us": 100.0})),
                    "connect-tls": row(json!({"cpu_us": 255.0})),
                    "connect-tls-resumed": row(json!({"cpu_us": 200.0})),
                    "event-both-qos80-3000": row(json!({"cpu_us": 65.0})),
                    "event-both-qos10-3000": row(json!({"cpu_us": 50.5})),
                    "request": row(json!({"cpu_us": 40.0})),
                },
            },
            "against": null,
        })
    }

    fn costs(report: serde_json::Value, connection: Connection) -> Result<Costs, MeasuredError> {
        Measured::of(PathBuf::from("rows.json"), serde_json::from_value(report).unwrap())?.costs(connection)
    }

    #[test]
    fn the_rows_replace_the_built_in_costs() {
        let plain = costs(report(), Connection::Plain).unwrap();
        let micros = Duration::from_micros;
        assert_eq!((plain.event, plain.event_without_ack), (micros(65), Duration::from_nanos(50_500)));
        assert_eq!(
            (plain.request, plain.connect, plain.resumed_connect),
            (micros(40), micros(100), micros(100))
        );
        assert_eq!((plain.device, plain.kernel), (Bytes::new(1500), Bytes::new(2500)));
        assert_eq!(plain.ping, Costs::measured(Connection::Plain).ping);

        let tls = costs(report(), Connection::Tls).unwrap();
        assert_eq!(tls.event, micros(75), "half of what is built in, as without TLS");
        assert_eq!((tls.connect, tls.resumed_connect), (micros(255), micros(200)));
        assert_eq!((tls.device, tls.kernel), (Bytes::new(5000), Bytes::new(2600)));
    }

    #[test]
    fn a_file_of_another_tool_or_without_a_row_or_figure_is_refused_by_name() {
        type Fault = fn(&mut serde_json::Value);
        let faults: [(&str, Fault, &str); 5] = [
            ("tool", |report| report["tool"]["sources"] = "0".into(), "another version of this tool"),
            (
                "row",
                |report| _ = report["measured"]["rows"].as_object_mut().unwrap().shift_remove("request"),
                "no row request",
            ),
            (
                "not clean",
                |report| report["measured"]["rows"]["connect"]["median"] = json!(null),
                "the row connect of rows.json was not clean",
            ),
            (
                "figure",
                |report| report["measured"]["rows"]["idle"]["median"] = json!({"bytes": 1.0}),
                "no figure kernel_bytes",
            ),
            (
                "negative",
                |report| report["measured"]["rows"]["idle"]["median"]["bytes"] = json!(-3.0),
                "no figure bytes above zero",
            ),
        ];
        for (name, add_fault, message) in faults {
            let mut report = report();
            add_fault(&mut report);
            let error = costs(report, Connection::Plain).unwrap_err().to_string();
            assert!(error.contains(message), "{name}: {error}");
        }
    }
}
