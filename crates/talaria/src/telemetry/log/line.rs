//! Formats one log line. Which lines are written, and where to, is decided in the parent module.

use std::cell::RefCell;
use std::fmt::{self, Write as _};

use bytes::Bytes;
use jiff::ZonedDateTime;
use tracing::Event;
use tracing::field::{Field, Visit};

use super::{Encoding, Keys};

thread_local! {
    /// Reused for all lines of a thread, so that formatting does not allocate.
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

#[derive(Default)]
struct Scratch {
    message: String,
    /// `,"key":value` for each field.
    fields: String,
    /// The `Debug` form of a value, before it is escaped.
    value: String,
}

/// The line for an event, with its line feed.
pub(super) fn write(event: &Event<'_>, encoding: Encoding, keys: &Keys) -> Bytes {
    SCRATCH.with(|scratch| match scratch.try_borrow_mut() {
        Ok(mut scratch) => scratch.write(event, encoding, keys),
        // The scratch is in use if the `Debug` of a field logs something itself.
        Err(_) => Scratch::default().write(event, encoding, keys),
    })
}

impl Scratch {
    fn write(&mut self, event: &Event<'_>, encoding: Encoding, keys: &Keys) -> Bytes {
        self.message.clear();
        self.fields.clear();
        event.record(self);
        let time = ZonedDateTime::now().strftime("%Y-%m-%dT%H:%M:%S%.3f%:z");
        let level = level(event);
        let mut line = String::with_capacity(self.message.len() + self.fields.len() + 96);
        // Writing to a String cannot fail.
        let _ = match encoding {
            Encoding::Json => self.json(&mut line, level, &time, keys),
            Encoding::Console => self.console(&mut line, level, &time),
        };
        line.push('\n');
        line.into()
    }

    fn json(&self, line: &mut String, level: &str, time: &dyn fmt::Display, keys: &Keys) -> fmt::Result {
        line.push('{');
        push_text(line, &keys.level);
        write!(line, ":\"{level}\",")?;
        push_text(line, &keys.time);
        write!(line, ":\"{time}\",")?;
        push_text(line, &keys.message);
        line.push(':');
        push_text(line, &self.message);
        line.push_str(&self.fields);
        line.push('}');
        Ok(())
    }

    fn console(&self, line: &mut String, level: &str, time: &dyn fmt::Display) -> fmt::Result {
        write!(line, "{time}\t{level}\t")?;
        // A line break in a message must not break the line.
        line.extend(self.message.chars().map(|c| if c.is_control() { ' ' } else { c }));
        if let Some(fields) = self.fields.strip_prefix(',') {
            write!(line, "\t{{{fields}}}")?;
        }
        Ok(())
    }

    fn key(&mut self, field: &Field) {
        let name = field.name();
        self.fields.push(',');
        push_text(&mut self.fields, name.strip_prefix("r#").unwrap_or(name));
        self.fields.push(':');
    }

    fn plain(&mut self, field: &Field, value: &dyn fmt::Display) {
        self.key(field);
        let _ = write!(self.fields, "{value}");
    }
}

impl Visit for Scratch {
    fn record_f64(&mut self, field: &Field, value: f64) {
        if value.is_finite() { self.plain(field, &value) } else { self.record_str(field, &value.to_string()) }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.plain(field, &value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.plain(field, &value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.plain(field, &value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            self.message.push_str(value);
        } else {
            self.key(field);
            push_text(&mut self.fields, value);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let mut text = std::mem::take(&mut self.value);
        text.clear();
        let _ = write!(text, "{value:?}");
        self.record_str(field, &text);
        self.value = text;
    }
}

fn level(event: &Event<'_>) -> &'static str {
    match *event.metadata().level() {
        tracing::Level::ERROR => "error",
        tracing::Level::WARN => "warn",
        tracing::Level::INFO => "info",
        tracing::Level::DEBUG => "debug",
        tracing::Level::TRACE => "trace",
    }
}

/// Appends `text` as a JSON string.
fn push_text(line: &mut String, text: &str) {
    line.push('"');
    for c in text.chars() {
        match c {
            '"' => line.push_str("\\\""),
            '\\' => line.push_str("\\\\"),
            '\n' => line.push_str("\\n"),
            '\r' => line.push_str("\\r"),
            '\t' => line.push_str("\\t"),
            c if c.is_control() => {
                let _ = write!(line, "\\u{:04x}", u32::from(c));
            }
            c => line.push(c),
        }
    }
    line.push('"');
}
