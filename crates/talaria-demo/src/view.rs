//! Shows the flow while it runs: a panel that is redrawn in place on a terminal, a line each time otherwise.

use std::fmt::{self, Display};
use std::io::{self, Write};

use console::Term;

use crate::sample::{Flow, Sample};

/// Clears the screen from the cursor on (ECMA-48, ED).
const CLEAR_BELOW: &str = "\x1b[J";

/// The width for a terminal that does not tell its own.
const USUAL_WIDTH: usize = 80;

/// Where the flow is shown.
#[derive(Debug)]
pub(crate) struct View {
    terminal: Option<Term>,
    /// The panel that is on the screen.
    drawn: String,
}

impl View {
    /// On the standard output.
    pub(crate) fn of_stdout() -> Self {
        Self { terminal: Some(Term::stdout()).filter(Term::is_term), drawn: String::new() }
    }

    /// Shows a sample.
    ///
    /// # Errors
    /// If the reader of the output has gone.
    pub(crate) fn show(&mut self, sample: &Sample) -> io::Result<()> {
        let mut out = io::stdout().lock();
        let Some(terminal) = &self.terminal else {
            return writeln!(out, "{}", Line(sample));
        };
        let width = terminal.size_checked().map_or(USUAL_WIDTH, |(_, columns)| usize::from(columns));
        let rows = rows(&self.drawn, width);
        if rows > 0 {
            write!(out, "\x1b[{rows}A{CLEAR_BELOW}")?;
        }
        self.drawn = panel(sample, width);
        out.write_all(self.drawn.as_bytes())?;
        out.flush()
    }
}

/// The rows that a text takes on a terminal of this width, which may have become narrower since it was printed.
fn rows(text: &str, width: usize) -> usize {
    text.lines().map(|line| line.chars().count().div_ceil(width.max(1)).max(1)).sum()
}

/// A sample as a panel of a few lines, none of them longer than the width.
fn panel(sample: &Sample, width: usize) -> String {
    let full = Panel {
        sample,
        columns: if width < Columns::WIDE.total() { Columns::NARROW } else { Columns::WIDE },
    };
    full.to_string()
        .lines()
        .map(|line| line.chars().take(width).collect::<String>().trim_end().to_owned() + "\n")
        .collect()
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

/// The widths of the panel's columns.
struct Columns {
    name: usize,
    count: usize,
    rate: usize,
    time: usize,
    on_their_way: usize,
    duplicates: usize,
}

impl Columns {
    const WIDE: Self = Self { name: 8, count: 12, rate: 10, time: 12, on_their_way: 14, duplicates: 12 };
    const NARROW: Self = Self { name: 5, count: 9, rate: 7, time: 10, on_their_way: 13, duplicates: 11 };

    const fn total(&self) -> usize {
        self.name + self.count + self.rate + 2 * self.time + self.on_their_way + self.duplicates
    }
}

/// A sample as a panel.
struct Panel<'a> {
    sample: &'a Sample,
    columns: Columns,
}

impl Display for Panel<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Panel { sample, columns: Columns { name, count, rate, time, on_their_way, duplicates } } = self;
        writeln!(
            f,
            "{:>4}s  devices online {}  events sent {} ({:.0}/s)  acks {}",
            sample.elapsed.as_secs(),
            sample.devices.online,
            sample.counts.sent,
            sample.sent_per_second,
            sample.acks()
        )?;
        writeln!(
            f,
            "{:name$}{:>count$}{:>rate$}{:>time$}{:>time$}{:>on_their_way$}{:>duplicates$}",
            "", "events", "per s", "p50", "p99", "on their way", "duplicates"
        )?;
        let number = time - " ms".len();
        for (sink, Flow { per_second, latency, counts, .. }) in
            [("http", sample.http), ("kafka", sample.kafka)]
        {
            writeln!(
                f,
                "{sink:name$}{:>count$}{per_second:>rate$.0}{:>number$.2} ms{:>number$.2} ms{:>on_their_way$}{:>duplicates$}",
                counts.received, latency.p50, latency.p99, counts.lost, counts.duplicated
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn sample() -> Sample {
        let mut sample =
            Sample { elapsed: Duration::from_secs(12), sent_per_second: 500.0, ..Sample::default() };
        sample.devices.online = 200;
        sample.counts.sent = 1500;
        (sample.http.counts.received, sample.http.per_second) = (1499, 499.0);
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

    /// `UPDATE=1` writes the screens; the README shows one of them.
    #[test]
    fn a_panel_fits_into_any_width() {
        for width in [66, 80, 120] {
            let path = format!("{}/tests/screens/panel-{width}.txt", env!("CARGO_MANIFEST_DIR"));
            let panel = panel(&sample(), width);
            #[expect(clippy::disallowed_methods, reason = "a developer asks the test to write the screens")]
            if std::env::var_os("UPDATE").is_some() {
                std::fs::write(&path, &panel).unwrap();
            }
            assert_eq!(std::fs::read_to_string(&path).unwrap_or_default(), panel, "{path}");
        }
        for width in 1..130 {
            let panel = panel(&sample(), width);
            assert_eq!(panel.lines().count(), 4, "{panel}");
            assert!(panel.lines().all(|line| line.chars().count() <= width), "{panel}");
            assert_eq!(rows(&panel, width), 4, "{panel}");
        }
    }

    #[test]
    fn a_panel_that_a_narrower_terminal_has_wrapped_is_cleared_whole() {
        let panel = panel(&sample(), 80);
        assert_eq!(rows(&panel, 40), 4 + panel.lines().filter(|line| line.len() > 40).count());
        assert_eq!(rows("", 80), 0);
    }
}
