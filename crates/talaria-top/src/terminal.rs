//! The terminal while the screen is shown: raw, on its alternate screen, with its keys. It is restored however the program ends.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use ratatui::{DefaultTerminal, Frame};
use signal_hook::consts::{SIGHUP, SIGTERM};

/// What the operator wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Input {
    Quit,
    Up,
    Down,
    /// The size has changed, or the screen should be drawn again.
    Redraw,
}

/// A terminal that is drawn on. Dropping it restores it, also while a panic unwinds; ratatui's panic hook restores it before the
/// panic's message is printed.
pub(crate) struct Terminal {
    inner: DefaultTerminal,
    /// Set by the signals that ask the program to end.
    asked_to_end: Arc<AtomicBool>,
}

impl Terminal {
    /// Takes the terminal of the process.
    ///
    /// # Errors
    /// It cannot be drawn on.
    pub(crate) fn take() -> io::Result<Self> {
        let asked_to_end = Arc::new(AtomicBool::new(false));
        for signal in [SIGTERM, SIGHUP] {
            signal_hook::flag::register(signal, Arc::clone(&asked_to_end))?;
        }
        Ok(Self { inner: ratatui::try_init()?, asked_to_end })
    }

    /// Draws a screen.
    ///
    /// # Errors
    /// The terminal has gone.
    pub(crate) fn draw(&mut self, draw: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        self.inner.draw(draw).map(|_| ())
    }

    /// The next thing that the operator wants within this time.
    ///
    /// # Errors
    /// The terminal has gone.
    pub(crate) fn input(&self, within: Duration) -> io::Result<Option<Input>> {
        let event = if event::poll(within)? { Some(event::read()?) } else { None };
        if self.asked_to_end.load(Ordering::Relaxed) {
            return Ok(Some(Input::Quit));
        }
        Ok(event.as_ref().and_then(input))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // If it cannot be restored there is no terminal left to say so on.
        _ = ratatui::try_restore();
    }
}

fn input(event: &Event) -> Option<Input> {
    let key = match event {
        Event::Resize(..) => return Some(Input::Redraw),
        Event::Key(key) if key.kind != KeyEventKind::Release => key,
        _ => return None,
    };
    let has_control = key.modifiers.contains(KeyModifiers::CONTROL);
    match key.code {
        KeyCode::Char('c' | 'd') if has_control => Some(Input::Quit),
        KeyCode::Char('l') if has_control => Some(Input::Redraw),
        KeyCode::Char('q' | 'Q') | KeyCode::Esc => Some(Input::Quit),
        KeyCode::Up | KeyCode::Char('k') => Some(Input::Up),
        KeyCode::Down | KeyCode::Char('j') => Some(Input::Down),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use ratatui::crossterm::event::KeyEvent;

    use super::*;

    /// Set for the test's own program, when it is run again on a terminal that `script` makes.
    const ON_TERMINAL: &str = "TALARIA_TOP_TEST_ON_TERMINAL";

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the program asks whether the test has started it")]
    fn a_panic_gives_the_terminal_back_before_its_message_is_printed() {
        if std::env::var_os(ON_TERMINAL).is_some() {
            let _terminal = Terminal::take().unwrap();
            panic!("as a defect would");
        }
        let program = std::env::current_exe().unwrap();
        let test = "terminal::tests::a_panic_gives_the_terminal_back_before_its_message_is_printed";
        let settings = "echo settings=$(stty -g)";
        let command = format!("{settings}; {} --exact {test} --nocapture; {settings}", program.display());
        let output = Command::new("script")
            .args(["--quiet", "--command", &command, "/dev/null"])
            .env(ON_TERMINAL, "1")
            .env("TERM", "xterm-256color")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        let at = |part: &str| text.find(part).unwrap_or_else(|| panic!("{part:?} is not in {text:?}"));
        assert!(
            at("\x1b[?1049h") < at("\x1b[?1049l") && at("\x1b[?1049l") < at("as a defect would"),
            "{text:?}"
        );
        let settings: Vec<_> = text.split("settings=").skip(1).map(|rest| rest.lines().next()).collect();
        let [before, after] = settings[..] else { panic!("{text:?}") };
        assert_eq!(before, after, "raw mode is off");
    }

    #[test]
    fn keys_quit_select_and_draw_again() {
        let plain = |code| Event::Key(KeyEvent::new(code, KeyModifiers::NONE));
        let control = |c| Event::Key(KeyEvent::new(KeyCode::Char(c), KeyModifiers::CONTROL));
        for (event, expected) in [
            (plain(KeyCode::Char('q')), Some(Input::Quit)),
            (plain(KeyCode::Esc), Some(Input::Quit)),
            (control('c'), Some(Input::Quit)),
            (plain(KeyCode::Char('c')), None),
            (plain(KeyCode::Up), Some(Input::Up)),
            (plain(KeyCode::Char('j')), Some(Input::Down)),
            (Event::Resize(66, 24), Some(Input::Redraw)),
        ] {
            assert_eq!(input(&event), expected, "{event:?}");
        }
    }
}
