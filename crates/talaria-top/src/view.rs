//! The screen, as a pure function of the fleet, the cursor, the time and the size of the terminal.
//!
//! Above a table with a line for each gateway, below it all figures of the selected line. Everything is ASCII, so that it looks the
//! same on every terminal. Start reading at [`draw`].

mod cursor;
mod level;
mod now;
mod panel;
mod table;

#[cfg(test)]
mod tests;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};

use crate::fleet::{Fleet, Gateway, State};
pub(crate) use cursor::Cursor;
pub use level::Colours;
use level::Level;
pub(crate) use now::Now;

/// The fewest lines that the table gets, if there are as many gateways.
const FEWEST_TABLE_LINES: u16 = 4;

/// Draws the whole screen.
pub(crate) fn draw(frame: &mut Frame<'_>, fleet: &Fleet, cursor: Cursor, now: Now, colours: Colours) {
    let area = frame.area();
    let panel = panel::lines(fleet, cursor, now, colours, area.width);
    let lines = table::line_count(fleet);
    // Title and two empty lines; the table shrinks before the panel does.
    let room = area.height.saturating_sub(u16::try_from(panel.len() + 3).unwrap_or(u16::MAX));
    let table_height = lines.min(room.max(FEWEST_TABLE_LINES));
    let [title, _, table, _, below] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Length(table_height),
        Constraint::Length(1),
        Constraint::Min(0),
    ])
    .areas(area);
    frame.render_widget(title_line(fleet, colours, area.width), title);
    put(frame, table::lines(fleet, cursor, now, colours, table.width, table.height), table);
    put(frame, panel, below);
}

fn title_line(fleet: &Fleet, colours: Colours, width: u16) -> Line<'static> {
    let (all, reached) = (fleet.gateways().len(), fleet.reached());
    let is_unreached = |gateway: &Gateway| matches!(gateway.state, State::Unreached { .. });
    let level = if fleet.gateways().iter().any(is_unreached) { Level::Alarm } else { Level::Normal };
    let gateways = if all == 1 { "gateway" } else { "gateways" };
    let (name, state) = ("talaria top", format!("{reached} of {all} {gateways} reached"));
    let keys = if Cursor::selects(fleet) { "up, down: select   q: quit" } else { "q: quit" };
    let gap = usize::from(width).saturating_sub(name.len() + 3 + state.len() + keys.len()).max(3);
    Line::from(vec![
        Span::styled(name, Style::new().add_modifier(Modifier::BOLD)),
        Span::raw("   "),
        Span::styled(state, level.style(colours)),
        Span::raw(format!("{:gap$}{keys}", "")),
    ])
}

fn put(frame: &mut Frame<'_>, lines: Vec<Line<'static>>, area: Rect) {
    for (line, row) in lines.into_iter().zip(area.rows()) {
        frame.render_widget(line, row);
    }
}
