//! Shows the flow while it runs: a panel that is redrawn in place on a terminal, a line each time otherwise.

use std::fmt::{self, Display};
use std::io::{self, IsTerminal, Write};

use crate::sample::{Flow, Sample};

/// Clears the screen from the cursor on (ECMA-48, ED).
const CLEAR_BELOW: &str = "\x1b[J";

/// Where the flow is shown.
#[derive(Debug)]
pub(crate) struct View {
    terminal: bool,
    /// Lines of the panel that is on the screen.
    drawn: usize,
}

impl View {
    /// On the standard output.
    pub(crate) fn of_stdout() -> Self {
        Self { terminal: io::stdout().is_terminal(), drawn: 0 }
    }

    /// Shows a sample.
    ///
    /// # Errors
    /// If the reader of the output has gone.
    pub(crate) fn show(&mut self, sample: &Sample) -> io::Result<()> {
        let mut out = io::stdout().lock();
        if !self.terminal {
            return writeln!(out, "{}", Line(sample));
        }
        if self.drawn > 0 {
            write!(out, "\x1b[{}A{CLEAR_BELOW}", self.drawn)?;
        }
        let panel = Panel(sample).to_string();
        self.drawn = panel.lines().count();
        out.write_all(panel.as_bytes())?;
        out.flush()
    }
}

/// A sample in one line.
struct Line<'a>(&'a Sample);

impl Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Line(sample) = self;
        write!(
            f,
            "{:4}s  online {}  sent {} ({:.0}/s)",
            sample.elapsed.as_secs(),
            sample.devices.online,
            sample.counts.sent,
            sample.sent_per_second
        )?;
        for (name, Flow { per_second, latency, counts, .. }) in
            [("http", sample.http), ("kafka", sample.kafka)]
        {
            write!(
                f,
                "  {name} {} ({per_second:.0}/s, p50 {:.1} ms, p99 {:.1} ms, dup {})",
                counts.received, latency.p50, latency.p99, counts.duplicated
            )?;
        }
        write!(f, "  acks {}", sample.acks())
    }
}

/// A sample as a panel of a few lines.
struct Panel<'a>(&'a Sample);

impl Display for Panel<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Panel(sample) = self;
        writeln!(
            f,
            "{:>5}s   devices online {}   events sent {} ({:.0}/s)   acks {}",
            sample.elapsed.as_secs(),
            sample.devices.online,
            sample.counts.sent,
            sample.sent_per_second,
            sample.acks()
        )?;
        writeln!(
            f,
            "{:8}{:>12}{:>10}{:>12}{:>12}{:>14}{:>12}",
            "", "events", "per s", "p50", "p99", "on their way", "duplicates"
        )?;
        for (name, Flow { per_second, latency, counts, .. }) in
            [("http", sample.http), ("kafka", sample.kafka)]
        {
            writeln!(
                f,
                "{name:8}{:>12}{per_second:>10.0}{:>9.2} ms{:>9.2} ms{:>14}{:>12}",
                counts.received, latency.p50, latency.p99, counts.lost, counts.duplicated
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Sample {
        let mut sample = Sample::default();
        sample.counts.sent = 1500;
        sample.http.counts.received = 1499;
        sample.kafka.counts.duplicated = 7;
        sample.devices.acks.insert(0, 42);
        sample
    }

    #[test]
    fn a_line_is_one_line_and_tells_all_counts() {
        let line = Line(&sample()).to_string();
        assert_eq!(line.lines().count(), 1);
        for part in ["sent 1500", "http 1499", "dup 7", "acks 42"] {
            assert!(line.contains(part), "{part} in {line}");
        }
    }

    #[test]
    fn a_panel_always_has_as_many_lines() {
        let lines = |sample: &Sample| Panel(sample).to_string().lines().count();
        assert_eq!(lines(&sample()), lines(&Sample::default()));
    }
}
