//! How much a figure matters, and how that looks with and without colours.

use ratatui::style::{Color, Modifier, Style};

/// Whether colours are used; `NO_COLOR` asks for none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colours {
    /// Red for what is lost or down, yellow for what should be checked.
    Used,
    /// Bold and reversed text only.
    Unused,
}

/// How much a figure matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    Normal,
    Warning,
    Alarm,
}

impl Level {
    pub(super) fn style(self, colours: Colours) -> Style {
        match (self, colours) {
            (Self::Normal, _) => Style::new(),
            (Self::Warning, Colours::Used) => Style::new().fg(Color::Yellow),
            (Self::Alarm, Colours::Used) => Style::new().fg(Color::Red).add_modifier(Modifier::BOLD),
            (Self::Warning | Self::Alarm, Colours::Unused) => Style::new().add_modifier(Modifier::BOLD),
        }
    }

    /// [`Level::Alarm`] for what must be 0.
    pub(super) fn of_loss(value: Option<f64>) -> Self {
        if value.is_some_and(|value| value > 0.0) { Self::Alarm } else { Self::Normal }
    }

    /// [`Level::Warning`] where something holds.
    pub(super) fn warning_if(holds: bool) -> Self {
        if holds { Self::Warning } else { Self::Normal }
    }

    /// Of what fills up: a warning from three quarters on, an alarm from nine tenths on.
    pub(super) fn of_part(part: Option<f64>) -> Self {
        match part {
            Some(part) if part >= 0.9 => Self::Alarm,
            Some(part) if part >= 0.75 => Self::Warning,
            _ => Self::Normal,
        }
    }
}
