//! The table: a line for the fleet and one for each gateway, with as many columns as the width allows.

use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};

use super::cursor::Cursor;
use super::level::{Colours, Level};
use super::now::Now;
use crate::figures::{Figures, Share};
use crate::fleet::{Fleet, State};
use crate::number;

/// A column of figures.
struct Column {
    title: &'static str,
    width: usize,
    cell: fn(&Figures) -> (String, Level),
}

/// In the order in which they are given up from the right, if the terminal is too narrow.
const COLUMNS: &[Column] = &[
    Column { title: "devices", width: 10, cell: |f| (number::count(f.devices.connected), Level::Normal) },
    Column { title: "in/s", width: 8, cell: |f| (number::rate(f.devices.messages), Level::Normal) },
    Column { title: "http/s", width: 8, cell: |f| (number::rate(f.http.delivered), Level::Normal) },
    Column { title: "kafka/s", width: 8, cell: |f| (number::rate(f.kafka.delivered), Level::Normal) },
    Column { title: "lost/s", width: 7, cell: |f| (number::rate(f.lost()), Level::of_loss(f.lost())) },
    Column { title: "on/s", width: 6, cell: |f| (number::rate(f.devices.connects), Level::Normal) },
    Column { title: "off/s", width: 6, cell: |f| (number::rate(f.devices.disconnects), Level::Normal) },
    Column {
        title: "http99",
        width: 7,
        cell: |f| (number::latency(f.http.latency.quantile(0.99)), Level::Normal),
    },
    Column {
        title: "kafka99",
        width: 8,
        cell: |f| (number::latency(f.kafka.latency.quantile(0.99)), Level::Normal),
    },
    Column { title: "cpu", width: 6, cell: |f| (number::decimal(f.process.cpu), Level::Normal) },
    Column { title: "memory", width: 9, cell: |f| (number::bytes(f.process.memory_bytes), Level::Normal) },
    Column { title: "files", width: 6, cell: files },
];

/// The narrowest and the widest column of names.
const NAME_WIDTH: (usize, usize) = (13, 40);

/// How many lines the whole table has.
pub(super) fn line_count(fleet: &Fleet) -> u16 {
    let lines = fleet.gateways().len() + usize::from(Cursor::selects(fleet)) + 1;
    u16::try_from(lines).unwrap_or(u16::MAX)
}

/// The lines that fit, among them the selected one.
pub(super) fn lines(
    fleet: &Fleet,
    cursor: Cursor,
    now: Now,
    colours: Colours,
    width: u16,
    height: u16,
) -> Vec<Line<'static>> {
    let layout = TableLayout::of(fleet, usize::from(width));
    let mut rows = Vec::new();
    if Cursor::selects(fleet) {
        rows.push(layout.figures("all", &fleet.figures(), colours));
    }
    for gateway in fleet.gateways() {
        rows.push(match &gateway.state {
            State::Asked => layout.text(&gateway.name, "not answered yet", Level::Normal, colours),
            State::Reached(figures) => layout.figures(&gateway.name, figures, colours),
            State::Unreached { error, since } => {
                layout.text(&gateway.name, &now.unreached(error, *since), Level::Alarm, colours)
            }
        });
    }
    if let Some(selected) = rows.get_mut(cursor.0).filter(|_| Cursor::selects(fleet)) {
        selected.spans[0] = Span::raw(">");
        selected.style = Style::new().add_modifier(Modifier::REVERSED);
    }
    let room = usize::from(height).saturating_sub(1);
    // The selected line is the last one that is shown, if it is below the others.
    let hidden = (cursor.0 + 1).saturating_sub(room);
    let shown = rows.into_iter().skip(hidden).take(room);
    std::iter::once(layout.titles()).chain(shown).collect()
}

struct TableLayout {
    name_width: usize,
    columns: &'static [Column],
    /// Of the text in place of figures.
    text_width: usize,
}

impl TableLayout {
    fn of(fleet: &Fleet, width: usize) -> Self {
        let names = fleet.gateways().iter().map(|gateway| gateway.name.chars().count());
        let (narrowest, widest) = NAME_WIDTH;
        let wanted = names.max().unwrap_or(0).clamp(narrowest, widest);
        // A mark in front of the name, which is cut before the first columns are given up.
        let mut room = width.saturating_sub(1 + narrowest);
        let fitting = COLUMNS.iter().take_while(|column| {
            let fits = column.width <= room;
            room = room.saturating_sub(column.width);
            fits
        });
        let columns = &COLUMNS[..fitting.count()];
        let taken: usize = columns.iter().map(|column| column.width).sum();
        let left = width.saturating_sub(1 + taken);
        let name_width = wanted.min(left);
        Self { name_width, columns, text_width: width.saturating_sub(name_width + 3) }
    }

    fn titles(&self) -> Line<'static> {
        let mut text = format!(" {:<width$}", "gateway", width = self.name_width);
        for column in self.columns {
            text.push_str(&format!("{:>width$}", column.title, width = column.width));
        }
        Line::styled(text, Style::new().add_modifier(Modifier::BOLD | Modifier::UNDERLINED))
    }

    fn figures(&self, name: &str, figures: &Figures, colours: Colours) -> Line<'static> {
        let mut spans = self.beginning(name);
        for column in self.columns {
            let (text, level) = (column.cell)(figures);
            let padded = format!("{text:>width$}", width = column.width);
            spans.push(Span::styled(padded, level.style(colours)));
        }
        Line::from(spans)
    }

    fn text(&self, name: &str, text: &str, level: Level, colours: Colours) -> Line<'static> {
        let mut spans = self.beginning(name);
        spans.push(Span::styled(format!("  {}", cut(text, self.text_width)), level.style(colours)));
        Line::from(spans)
    }

    /// The mark and the name.
    fn beginning(&self, name: &str) -> Vec<Span<'static>> {
        let width = self.name_width;
        vec![Span::raw(" "), Span::raw(format!("{:<width$}", cut(name, width)))]
    }
}

fn files(figures: &Figures) -> (String, Level) {
    let part = figures.process.files.map(Share::part);
    (number::percent(part), Level::of_part(part))
}

/// A text in so many columns; one that is longer ends in `..`.
fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(2)).chain("..".chars()).take(width).collect()
}
