//! The two ways in which the program runs: a screen that is drawn again with each answer, or a line for each round.

use std::io::{self, Write};
use std::time::Duration;

use crate::clock::Clock;
use crate::fetch::{self, Answer, Fetchers};
use crate::fleet::{Change, Fleet};
use crate::plain;
use crate::target::Target;
use crate::terminal::{Input, Terminal};
use crate::view::{self, Colours, Cursor, Now};

/// The most gateways, each of which has a thread.
pub const MOST_GATEWAYS: usize = 256;

/// The shortest interval.
pub const SHORTEST_INTERVAL: Duration = Duration::from_millis(100);

/// The longest interval.
pub const LONGEST_INTERVAL: Duration = Duration::from_secs(3600);

/// How often the screen checks for answers while no key is pressed.
const KEY_WAIT: Duration = Duration::from_millis(100);

/// How often ages on the screen are counted on, if no gateway answers.
const REDRAW_AFTER: Duration = Duration::from_secs(1);

/// What to watch, and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// The gateways, at most [`MOST_GATEWAYS`].
    pub targets: Vec<Target>,
    /// How often their pages are fetched.
    pub interval: Duration,
    /// When to end; without it, when the operator does.
    pub run_for: Option<Duration>,
    /// How the figures are shown.
    pub output: Output,
    /// A PEM file of authorities for gateways with https, in place of the system's.
    pub authorities: Option<String>,
}

/// How the figures are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// On the whole terminal.
    Screen(Colours),
    /// A line for each round on the standard output.
    Lines,
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// A gateway has answered.
    Reached,
    /// None ever has.
    Unreached,
}

/// Why it could not go on.
#[derive(Debug, thiserror::Error)]
pub enum TopError {
    /// The authorities cannot be used.
    #[error("{0}")]
    Authorities(String),
    /// No thread can be started.
    #[error("a thread cannot be started: {0}")]
    Thread(#[source] io::Error),
    /// The terminal cannot be drawn on.
    #[error("the terminal cannot be used: {0}")]
    Terminal(#[source] io::Error),
    /// The standard output cannot be written to.
    #[error("the standard output cannot be written to: {0}")]
    Output(#[source] io::Error),
    /// A thread has panicked.
    #[error("a thread that fetches pages has panicked")]
    Panicked,
}

/// Watches the gateways until the time is up or the operator ends it.
///
/// # Errors
/// [`TopError`]
pub fn run(options: Options) -> Result<Outcome, TopError> {
    let Options { targets, interval, run_for, output, authorities } = options;
    let agent = fetch::agent(&targets, authorities.as_deref());
    let agent = agent.map_err(|error| TopError::Authorities(error.to_string()))?;
    let clock = Clock::start();
    let fleet = Fleet::new(targets.iter().map(Target::name));
    let fetchers = Fetchers::start(targets, &agent, interval, clock).map_err(TopError::Thread)?;
    let mut watch = Watch { fleet, fetchers, clock, interval, run_for, outcome: Outcome::Unreached };
    match output {
        Output::Screen(colours) => watch.screen(colours)?,
        Output::Lines => watch.lines(&mut io::stdout().lock(), &mut io::stderr().lock())?,
    }
    Ok(watch.outcome)
}

struct Watch {
    fleet: Fleet,
    fetchers: Fetchers,
    clock: Clock,
    interval: Duration,
    run_for: Option<Duration>,
    outcome: Outcome,
}

impl Watch {
    fn screen(&mut self, colours: Colours) -> Result<(), TopError> {
        let mut terminal = Terminal::take().map_err(TopError::Terminal)?;
        let mut cursor = Cursor::default();
        let mut drawn: Option<Duration> = None;
        while self.run_for.is_none_or(|time| self.clock.running() < time) {
            let running = self.clock.running();
            let is_due = drawn.is_none_or(|drawn| running >= drawn + REDRAW_AFTER);
            if self.take_answers()? || is_due {
                let now = Now { running, unix_seconds: Clock::unix_seconds() };
                let draw = terminal.draw(|frame| view::draw(frame, &self.fleet, cursor, now, colours));
                draw.map_err(TopError::Terminal)?;
                drawn = Some(running);
            }
            match terminal.input(KEY_WAIT).map_err(TopError::Terminal)? {
                None => continue,
                Some(Input::Quit) => break,
                Some(Input::Up) => cursor = cursor.up(),
                Some(Input::Down) => cursor = cursor.down(&self.fleet),
                Some(Input::Redraw) => {}
            }
            drawn = None;
        }
        Ok(())
    }

    /// Notes all answers that have come; whether there were any.
    fn take_answers(&mut self) -> Result<bool, TopError> {
        let mut has_any = false;
        while let Some(answer) = self.fetchers.next(Duration::ZERO) {
            self.note(answer);
            has_any = true;
        }
        if self.fetchers.are_running() { Ok(has_any) } else { Err(TopError::Panicked) }
    }

    /// A line when all gateways have answered in a round, or when the next one begins. What changes at a gateway goes to `log`.
    fn lines(&mut self, out: &mut impl Write, log: &mut impl Write) -> Result<(), TopError> {
        let mut round: u32 = 1;
        loop {
            let end = self.interval * round;
            while self.fleet.rounds() < u64::from(round) {
                let left = end.saturating_sub(self.clock.running());
                match self.fetchers.next(left) {
                    Some(answer) => self.log_change(answer, log),
                    None if self.fetchers.are_running() => break,
                    None => return Err(TopError::Panicked),
                }
            }
            let line = plain::line(&self.fleet, self.clock.running());
            match writeln!(out, "{line}").and_then(|()| out.flush()) {
                Ok(()) => {}
                // The reader has what it wants: `| head`.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
                Err(error) => return Err(TopError::Output(error)),
            }
            if self.run_for.is_some_and(|time| time < end) {
                return Ok(());
            }
            self.wait_until(end, log);
            round += 1;
        }
    }

    fn wait_until(&mut self, end: Duration, log: &mut impl Write) {
        loop {
            let left = end.saturating_sub(self.clock.running());
            match self.fetchers.next(left) {
                Some(answer) => self.log_change(answer, log),
                None if left.is_zero() || !self.fetchers.are_running() => return,
                None => {}
            }
        }
    }

    fn log_change(&mut self, answer: Answer, log: &mut impl Write) {
        let name = self.fleet.gateways().get(answer.index).map(|gateway| gateway.name.clone());
        let name = name.unwrap_or_default();
        let error = answer.page.as_ref().err().map(ToString::to_string);
        // If the log cannot be written to there is no other place to say so.
        match self.note(answer) {
            Change::None => {}
            Change::Reached => _ = writeln!(log, "talaria: {name}: reached again"),
            Change::Unreached => {
                _ = writeln!(log, "talaria: {name}: not reached: {}", error.unwrap_or_default());
            }
        }
    }

    fn note(&mut self, answer: Answer) -> Change {
        if answer.page.is_ok() {
            self.outcome = Outcome::Reached;
        }
        let page = answer.page.map_err(|error| error.to_string());
        self.fleet.note(answer.index, answer.at, page)
    }
}
