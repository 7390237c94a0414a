//! Formats one log line. Which lines are written, and where to, is decided in the parent module.
//!
//! Strangers choose much of what is logged (device ids, destinations, claims), so every value is cut to
//! [`LONGEST_VALUE`], and what could forge a line or disguise its content on a terminal is escaped.

use std::cell::RefCell;
use std::fmt::{self, Write as _};

use bytes::Bytes;
use jiff::ZonedDateTime;
use tracing::field::{Field, Visit};
use tracing::{Event, Metadata};

use super::config::{Encoding, Form, LevelForm, TimeForm};

/// The most bytes of one value, the message included, that are logged. The number of the others follows them.
const LONGEST_VALUE: usize = 512;

/// Fields of the operator's choice that hold a list of texts. They are logged as JSON lists.
const LISTS: [&str; 1] = ["brokers"];

thread_local! {
    /// Reused for all lines of a thread, so that formatting does not allocate.
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

#[derive(Default)]
struct Scratch {
    message: String,
    /// `,"key":value` for each field.
    fields: String,
    /// A value, before it is escaped.
    value: String,
}

/// Appends to a text as much as a log line may hold, and counts the rest.
struct CutValue<'a> {
    text: &'a mut String,
    left_out: usize,
}

/// The line for an event, with its line feed.
pub(super) fn write(event: &Event<'_>, form: &Form) -> Bytes {
    SCRATCH.with(|scratch| match scratch.try_borrow_mut() {
        Ok(mut scratch) => scratch.write(event, form),
        // The scratch is in use if the `Debug` of a field logs something itself.
        Err(_) => Scratch::default().write(event, form),
    })
}

impl Scratch {
    fn write(&mut self, event: &Event<'_>, form: &Form) -> Bytes {
        self.message.clear();
        self.fields.clear();
        event.record(self);
        let mut line = String::with_capacity(self.message.len() + self.fields.len() + form.fields.len() + 96);
        let now = ZonedDateTime::now();
        // Writing to a String cannot fail.
        let _ = match form.encoding {
            Encoding::Json => self.json(&mut line, event.metadata(), &now, form),
            Encoding::Console => self.console(&mut line, event.metadata(), &now, form),
        };
        line.push('\n');
        line.into()
    }

    fn json(&self, line: &mut String, of: &Metadata<'_>, now: &ZonedDateTime, form: &Form) -> fmt::Result {
        let keys = &form.keys;
        line.push('{');
        if push_key(line, &keys.level) {
            write!(line, "\"{}\"", level(of, form.levels))?;
        }
        if push_key(line, &keys.time) {
            push_time(line, now, form.time, "\"")?;
        }
        if push_key(line, &keys.name) {
            push_text(line, of.target());
        }
        if push_key(line, &keys.caller) {
            write!(line, "\"{}:{}\"", of.file().unwrap_or_default(), of.line().unwrap_or_default())?;
        }
        if push_key(line, &keys.message) {
            push_text(line, &self.message);
        }
        // Nothing stands before the first one.
        let is_first = line.len() == 1;
        let mut fields = [form.fields.as_str(), &self.fields].into_iter().filter(|fields| !fields.is_empty());
        if let Some(first) = fields.next() {
            line.push_str(if is_first { &first[1..] } else { first });
        }
        line.extend(fields);
        line.push('}');
        Ok(())
    }

    fn console(&self, line: &mut String, of: &Metadata<'_>, now: &ZonedDateTime, form: &Form) -> fmt::Result {
        let (keys, separator) = (&form.keys, form.separator.as_str());
        if !keys.time.is_empty() {
            push_time(line, now, form.time, "")?;
            line.push_str(separator);
        }
        if !keys.level.is_empty() {
            write!(line, "{}{separator}", level(of, form.levels))?;
        }
        if !keys.name.is_empty() {
            write!(line, "{}{separator}", of.target())?;
        }
        if !keys.caller.is_empty() {
            write!(line, "{}:{}{separator}", of.file().unwrap_or_default(), of.line().unwrap_or_default())?;
        }
        push_escaped(line, &self.message);
        let fields = format_args!("{}{}", form.fields, self.fields).to_string();
        if let Some(fields) = fields.strip_prefix(',') {
            write!(line, "{separator}{{{fields}}}")?;
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

    /// Writes a list of texts, unless it is none or long.
    fn list(&mut self, field: &Field, text: &str) -> bool {
        let list = if text.len() <= LONGEST_VALUE {
            serde_json::from_str::<Vec<String>>(text)
        } else {
            return false;
        };
        let Ok(list) = list else { return false };
        self.key(field);
        for (index, text) in list.iter().enumerate() {
            self.fields.push(if index == 0 { '[' } else { ',' });
            push_text(&mut self.fields, text);
        }
        self.fields.push_str(if list.is_empty() { "[]" } else { "]" });
        true
    }

    fn value(&mut self, field: &Field, value: &dyn fmt::Display) {
        if field.name() == "message" {
            CutValue::write(&mut self.message, value);
            return;
        }
        let mut text = std::mem::take(&mut self.value);
        text.clear();
        CutValue::write(&mut text, value);
        self.key(field);
        push_text(&mut self.fields, &text);
        self.value = text;
    }
}

impl CutValue<'_> {
    fn write(text: &mut String, value: &dyn fmt::Display) {
        let mut cut = CutValue { text, left_out: 0 };
        // Writing to a String cannot fail; a value whose own formatting fails is logged as far as it came.
        let _ = write!(cut, "{value}");
        let left_out = cut.left_out;
        if left_out > 0 {
            let _ = write!(text, "… ({left_out} more bytes)");
        }
    }
}

impl fmt::Write for CutValue<'_> {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        let room = if self.left_out == 0 { LONGEST_VALUE.saturating_sub(self.text.len()) } else { 0 };
        let (fitting, rest) = part.split_at(part.floor_char_boundary(room));
        self.text.push_str(fitting);
        self.left_out += rest.len();
        Ok(())
    }
}

impl Visit for Scratch {
    fn record_f64(&mut self, field: &Field, value: f64) {
        if value.is_finite() { self.plain(field, &value) } else { self.value(field, &value) }
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
        self.value(field, &value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if LISTS.contains(&field.name()) && self.list(field, &format!("{value:?}")) {
            return;
        }
        self.value(field, &format_args!("{value:?}"));
    }
}

fn level(of: &Metadata<'_>, form: LevelForm) -> &'static str {
    let [lowercase, capital] = match *of.level() {
        tracing::Level::ERROR => ["error", "ERROR"],
        tracing::Level::WARN => ["warn", "WARN"],
        tracing::Level::INFO => ["info", "INFO"],
        tracing::Level::DEBUG => ["debug", "DEBUG"],
        tracing::Level::TRACE => ["trace", "TRACE"],
    };
    match form {
        LevelForm::Lowercase => lowercase,
        LevelForm::Capital => capital,
    }
}

/// Appends a key and a colon, after a comma if it is not the first one. Nothing for an empty key: then what has it is left out.
fn push_key(line: &mut String, key: &str) -> bool {
    if key.is_empty() {
        return false;
    }
    if line.len() > 1 {
        line.push(',');
    }
    push_text(line, key);
    line.push(':');
    true
}

/// Appends the time. A text is put between quotes.
fn push_time(line: &mut String, now: &ZonedDateTime, form: TimeForm, quote: &str) -> fmt::Result {
    let format = match form {
        TimeForm::Rfc3339 => "%Y-%m-%dT%H:%M:%S%.3f%:z",
        TimeForm::Rfc3339Nano => "%Y-%m-%dT%H:%M:%S%.9f%:z",
        TimeForm::Iso8601 => "%Y-%m-%dT%H:%M:%S%.3f%z",
        TimeForm::Epoch | TimeForm::Millis | TimeForm::Nanos => {
            let nanos = now.timestamp().as_nanosecond();
            return match form {
                TimeForm::Epoch => write!(line, "{}.{:06}", nanos / 1_000_000_000, nanos / 1000 % 1_000_000),
                TimeForm::Millis => write!(line, "{}.{:03}", nanos / 1_000_000, nanos / 1000 % 1000),
                _ => write!(line, "{nanos}"),
            };
        }
    };
    write!(line, "{quote}{}{quote}", now.strftime(format))
}

/// One field as JSON, as it stands in a line: `,"key":value`.
#[must_use]
pub fn field(key: &str, value: &str) -> String {
    let mut field = ",".to_owned();
    push_text(&mut field, key);
    field.push(':');
    push_text(&mut field, value);
    field
}

/// Appends `text` as a JSON string.
fn push_text(line: &mut String, text: &str) {
    line.push('"');
    push_escaped(line, text);
    line.push('"');
}

/// Appends `text` with everything escaped that a JSON string may not contain, and that a terminal does not show as it is.
fn push_escaped(line: &mut String, mut text: &str) {
    // Nearly all text is plain, and is copied at once.
    let is_plain = |byte: u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\');
    loop {
        let end = text.bytes().position(|byte| !is_plain(byte)).unwrap_or(text.len());
        let (plain, rest) = text.split_at(end);
        line.push_str(plain);
        let mut chars = rest.chars();
        let Some(c) = chars.next() else { return };
        match c {
            '"' => line.push_str("\\\""),
            '\\' => line.push_str("\\\\"),
            '\n' => line.push_str("\\n"),
            '\r' => line.push_str("\\r"),
            '\t' => line.push_str("\\t"),
            c if c.is_control() || is_invisible(c) => {
                let _ = write!(line, "\\u{:04x}", u32::from(c));
            }
            c => line.push(c),
        }
        text = chars.as_str();
    }
}

/// Line and paragraph separators, and marks that change the direction of the text or have no width.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}
