//! Shows the flow while it runs: a panel that is redrawn in place on a terminal, a line each time otherwise.

use std::fmt::{self, Display};
use std::io::{self, IsTerminal, Write};

use super::moment::{Flow, Moment};

/// Clears the screen from the cursor on (ECMA-48, ED).
const CLEAR_BELOW: &str = "\x1b[J";

/// Where the flow is shown.
#[derive(Debug)]
pub(super) struct View {
    terminal: bool,
    /// Lines of the panel that is on the screen.
    drawn: usize,
}

impl View {
    /// On the standard output.
    pub(super) fn of_stdout() -> Self {
        Self { terminal: io::stdout().is_terminal(), drawn: 0 }
    }

    /// Shows a moment.
    ///
    /// # Errors
    /// If nobody reads any more.
    pub(super) fn show(&mut self, moment: &Moment) -> io::Result<()> {
        let mut out = io::stdout().lock();
        if !self.terminal {
            return writeln!(out, "{}", Line(moment));
        }
        if self.drawn > 0 {
            write!(out, "\x1b[{}A{CLEAR_BELOW}", self.drawn)?;
        }
        let panel = Panel(moment).to_string();
        self.drawn = panel.lines().count();
        out.write_all(panel.as_bytes())?;
        out.flush()
    }
}

/// A moment in one line.
struct Line<'a>(&'a Moment);

impl Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Line(moment) = self;
        write!(
            f,
            "{:4}s  online {}  sent {} ({:.0}/s)",
            moment.elapsed.as_secs(),
            moment.devices.online,
            moment.counts.sent,
            moment.sent_per_second
        )?;
        for (name, Flow { per_second, latency, counts, .. }) in
            [("http", moment.http), ("kafka", moment.kafka)]
        {
            write!(
                f,
                "  {name} {} ({per_second:.0}/s, p50 {:.1} ms, p99 {:.1} ms, dup {})",
                counts.received, latency.p50, latency.p99, counts.duplicated
            )?;
        }
        write!(f, "  acks {}", moment.acks())
    }
}

/// A moment as a panel of a few lines.
struct Panel<'a>(&'a Moment);

impl Display for Panel<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Panel(moment) = self;
        writeln!(
            f,
            "{:>5}s   devices online {}   events sent {} ({:.0}/s)   acks {}",
            moment.elapsed.as_secs(),
            moment.devices.online,
            moment.counts.sent,
            moment.sent_per_second,
            moment.acks()
        )?;
        writeln!(
            f,
            "{:8}{:>12}{:>10}{:>12}{:>12}{:>14}{:>12}",
            "", "events", "per s", "p50", "p99", "on their way", "duplicates"
        )?;
        for (name, Flow { per_second, latency, counts, .. }) in
            [("http", moment.http), ("kafka", moment.kafka)]
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

    fn moment() -> Moment {
        let mut moment = Moment::default();
        moment.counts.sent = 1500;
        moment.http.counts.received = 1499;
        moment.kafka.counts.duplicated = 7;
        moment.devices.acks.insert(0, 42);
        moment
    }

    #[test]
    fn a_line_is_one_line_and_tells_all_counts() {
        let line = Line(&moment()).to_string();
        assert_eq!(line.lines().count(), 1);
        for part in ["sent 1500", "http 1499", "dup 7", "acks 42"] {
            assert!(line.contains(part), "{part} in {line}");
        }
    }

    #[test]
    fn a_panel_always_has_as_many_lines() {
        let lines = |moment: &Moment| Panel(moment).to_string().lines().count();
        assert_eq!(lines(&moment()), lines(&Moment::default()));
    }
}
