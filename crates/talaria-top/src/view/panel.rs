//! All figures of the selected gateway, or of the fleet: sections of items that flow over the width of the terminal.

use std::time::Duration;

use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};

use super::cursor::Cursor;
use super::level::{Colours, Level};
use super::now::Now;
use crate::figures::{Acks, ByName, Config, Devices, Figures, Http, Kafka, Process, Share};
use crate::fleet::{Fleet, State};
use crate::number::{age, bytes, count, decimal, latency, per_second, percent};
use crate::quantile::Buckets;

/// A title, and what is said under it.
struct Section {
    title: &'static str,
    items: Vec<Item>,
}

/// A figure with its name.
struct Item {
    text: String,
    level: Level,
}

const INDENT: usize = 9;
const GAP: usize = 3;

/// How many reasons of losses are named.
const MOST_REASONS: usize = 6;

/// How long before the end of a certificate there is a warning, as in `deploy/prometheus`.
const CERTIFICATE_WARNING: Duration = Duration::from_secs(14 * 86_400);

/// The lines of the panel.
pub(super) fn lines(
    fleet: &Fleet,
    cursor: Cursor,
    now: Now,
    colours: Colours,
    width: u16,
) -> Vec<Line<'static>> {
    let gateway = cursor.gateway(fleet).and_then(|index| fleet.gateways().get(index));
    let (name, figures) = match gateway {
        None => ("all gateways that are reached", fleet.figures()),
        Some(gateway) => match &gateway.state {
            State::Reached(figures) => (gateway.name.as_str(), (**figures).clone()),
            State::Asked => return Vec::new(),
            State::Unreached { error, since } => {
                let text = format!("{}: {}", gateway.name, now.unreached(error, *since));
                return wrapped(&text, width)
                    .map(|line| Line::styled(line, Level::Alarm.style(colours)))
                    .collect();
            }
        },
    };
    let mut lines = Vec::new();
    if Cursor::selects(fleet) {
        lines.push(Line::styled(name.to_owned(), Style::new().add_modifier(Modifier::BOLD)));
    }
    for section in sections(&figures, now).into_iter().filter(|section| !section.items.is_empty()) {
        lines.extend(section.lines(usize::from(width), colours));
    }
    lines
}

fn sections(figures: &Figures, now: Now) -> [Section; 7] {
    let Figures { devices, http, kafka, acks, process, config } = figures;
    [
        Section { title: "devices", items: devices_items(devices) },
        Section { title: "http", items: http_items(http) },
        Section { title: "kafka", items: kafka_items(kafka) },
        Section { title: "acks", items: acks_items(acks) },
        Section { title: "outcomes", items: named(&acks.outcomes) },
        Section { title: "process", items: process_items(process, now) },
        Section { title: "config", items: config_items(config, now) },
    ]
}

fn devices_items(devices: &Devices) -> Vec<Item> {
    let connected = match devices.limit {
        Some(limit) if limit > 0.0 => format!("{} of {}", count(devices.connected), count(Some(limit))),
        _ => count(devices.connected),
    };
    vec![
        Item::new(format!("connected {connected}")),
        Item::new(format!("messages {}", per_second(devices.messages))),
        Item::new(format!("connects {}", per_second(devices.connects))),
        Item::new(format!("disconnects {}", per_second(devices.disconnects))),
        Item::new(format!("ends waiting {}", count(devices.ends_waiting))),
        Item::new(format!("handshakes waiting {}", count(devices.handshakes_waiting))),
        Item::new(format!("refused {}", per_second(devices.handshakes_refused)))
            .at(Level::warning_if(devices.handshakes_refused > Some(0.0))),
    ]
}

fn http_items(http: &Http) -> Vec<Item> {
    let receivers = http.receivers;
    let mut items = vec![
        Item::new(format!("delivered {}", per_second(http.delivered))),
        Item::new(format!("waiting {}", count(http.waiting))),
        Item::new(format!("under way {}", count(http.under_way))),
        Item::new(format!("retries {}", per_second(http.retries)))
            .at(Level::warning_if(http.retries > Some(0.0))),
    ];
    items.extend(latencies(&http.latency));
    let mut text = format!("receivers {}", receivers.all);
    if receivers.tried + receivers.open > 0 {
        text.push_str(&format!(", breakers open {}, on trial {}", receivers.open, receivers.tried));
    }
    let level = match (receivers.open, receivers.tried) {
        (0, 0) => Level::Normal,
        (0, _) => Level::Warning,
        _ => Level::Alarm,
    };
    items.push(Item::new(text).at(level));
    items.extend(losses("dropped", &http.dropped));
    items
}

fn kafka_items(kafka: &Kafka) -> Vec<Item> {
    let state = match (kafka.used, kafka.up) {
        (0, _) => return vec![Item::new("not used, or no broker was ever reached".to_owned())],
        (1, 1) => "up".to_owned(),
        (1, _) => "down".to_owned(),
        (used, up) => format!("up at {up} of {used}"),
    };
    let mut items = vec![
        Item::new(state).at(if kafka.up < kafka.used { Level::Alarm } else { Level::Normal }),
        Item::new(format!("delivered {}", per_second(kafka.delivered))),
        Item::new(format!("waiting {}", count(kafka.waiting))),
        Item::new(format!(
            "outstanding {} ({})",
            count(kafka.unacknowledged),
            bytes(kafka.unacknowledged_bytes)
        )),
        Item::new(format!("backlog {}", percent(kafka.backlog))).at(Level::of_part(kafka.backlog)),
        Item::new(format!("buffer {}", percent(kafka.buffer))).at(Level::of_part(kafka.buffer)),
        Item::new(format!("oldest {}", latency(kafka.oldest_seconds))),
    ];
    items.extend(latencies(&kafka.latency));
    items.extend(losses("failed", &kafka.failed));
    items
}

fn acks_items(acks: &Acks) -> Vec<Item> {
    let mut items = with_parts("written", &acks.written);
    items.extend(latencies(&acks.latency));
    items.extend(losses("not written", &acks.unsent));
    items
}

fn process_items(process: &Process, now: Now) -> Vec<Item> {
    let share = process.files;
    let files = share.map_or_else(
        || count(process.open_files),
        |share| format!("{} of {}", count(Some(share.used)), count(Some(share.limit))),
    );
    let part = share.map(Share::part);
    let cpu_part = process.cpu.zip(process.cores).map(|(cpu, cores)| cpu / cores);
    vec![
        Item::new(format!("cpu {} of {} cores", decimal(process.cpu), count(process.cores)))
            .at(Level::of_part(cpu_part)),
        Item::new(format!("memory {}", bytes(process.memory_bytes))),
        Item::new(format!("open files {files}")).at(Level::of_part(part)),
        Item::new(format!("up {}", now.since(process.started))),
    ]
}

fn config_items(config: &Config, now: Now) -> Vec<Item> {
    let generation = match config.generations {
        Some((low, high)) if low < high => {
            format!("generations {} to {}", count(Some(low)), count(Some(high)))
        }
        generation => format!("generation {}", count(generation.map(|(low, _)| low))),
    };
    let mut items = vec![Item::new(generation)];
    items.push(match (config.faulty, config.last_fault) {
        (0, None) => Item::new("no change has failed".to_owned()),
        (0, time) => Item::new(format!("a change failed {} ago", now.since(time))),
        (_, time) => Item::new(format!("the last change failed {} ago", now.since(time))).at(Level::Alarm),
    });
    if config.waiting_for_restart > Some(0.0) {
        let text = format!("keys that wait for a restart {}", count(config.waiting_for_restart));
        items.push(Item::new(text).at(Level::Warning));
    }
    if let Some(end) = config.certificate_end {
        items.push(match now.until(end) {
            None => Item::new("a certificate has ended".to_owned()).at(Level::Alarm),
            Some(left) => Item::new(format!("certificates end in {}", age(left)))
                .at(Level::warning_if(left < CERTIFICATE_WARNING)),
        });
    }
    for (gateways, what) in [(config.gates_closed, "gate closed"), (config.draining, "draining")] {
        if gateways > 0 {
            items.push(Item::new(what.to_owned()).at(Level::Warning));
        }
    }
    items
}

fn latencies(latencies: &Buckets) -> [Item; 2] {
    [("p50", 0.5), ("p99", 0.99)]
        .map(|(name, quantile)| Item::new(format!("{name} {}", latency(latencies.quantile(quantile)))))
}

/// The whole rate of what must be 0, then the reasons that have most of it.
fn losses(what: &str, by_reason: &ByName) -> Vec<Item> {
    let level = Level::of_loss(by_reason.total());
    let items = with_parts(what, by_reason).into_iter().take(1 + MOST_REASONS);
    items.map(|item| item.at(level)).collect()
}

/// The whole rate, then its parts.
fn with_parts(what: &str, rates: &ByName) -> Vec<Item> {
    let parts = named(rates);
    let end = if parts.is_empty() { "" } else { ":" };
    let whole = Item::new(format!("{what} {}{end}", per_second(rates.total())));
    std::iter::once(whole).chain(parts).collect()
}

fn named(rates: &ByName) -> Vec<Item> {
    let rates = rates.largest_first().into_iter();
    rates.map(|(name, rate)| Item::new(format!("{} {}", printable(name), per_second(Some(rate))))).collect()
}

impl Item {
    fn new(text: String) -> Self {
        Self { text, level: Level::Normal }
    }

    fn at(self, level: Level) -> Self {
        Self { level, ..self }
    }
}

impl Section {
    /// The items one after the other; one that does not fit begins a line.
    fn lines(self, width: usize, colours: Colours) -> Vec<Line<'static>> {
        let bold = Style::new().add_modifier(Modifier::BOLD);
        let mut spans = vec![Span::styled(format!("{:<INDENT$}", self.title), bold)];
        let (mut column, mut lines) = (INDENT, Vec::new());
        for item in self.items {
            let length = item.text.chars().count();
            let is_first = column == INDENT;
            if !is_first && column + GAP + length > width {
                lines.push(Line::from(std::mem::replace(&mut spans, vec![Span::raw(" ".repeat(INDENT))])));
                column = INDENT;
            } else if !is_first {
                spans.push(Span::raw(" ".repeat(GAP)));
                column += GAP;
            }
            column += length;
            spans.push(Span::styled(item.text, item.level.style(colours)));
        }
        lines.push(Line::from(spans));
        lines
    }
}

/// A label's value without control characters, which a terminal would obey.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

fn wrapped(text: &str, width: u16) -> impl Iterator<Item = String> {
    let chars: Vec<char> = text.chars().collect();
    let lines: Vec<String> =
        chars.chunks(usize::from(width).max(1)).map(|line| line.iter().collect()).collect();
    lines.into_iter()
}
