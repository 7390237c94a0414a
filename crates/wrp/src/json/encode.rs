//! Encoding a message as JSON, with the reference's spelling of numbers and escapes (contract §1.8).

use std::io::Write as _;

use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;

use crate::{Field, MessageRef, Metadata, Strings, Text};

/// The largest integer that v3 writes without quotes. A float holds each integer up to here exactly.
const MAX_EXACT: u64 = 1 << 53;

pub(super) fn encode<const V5: bool>(message: &MessageRef<'_>, out: &mut Vec<u8>) {
    let mut object = Object { out, open: b'{' };
    object.integer::<V5>(Field::MsgType, message.msg_type.0);
    object.text(Field::Source, message.source);
    object.text(Field::Dest, message.dest);
    object.text(Field::TransactionUuid, message.transaction_uuid);
    object.text(Field::ContentType, message.content_type);
    object.text(Field::Accept, message.accept);
    if let Some(status) = message.status {
        object.integer::<V5>(Field::Status, status);
    }
    if let Some(rdr) = message.rdr {
        object.integer::<V5>(Field::Rdr, rdr);
    }
    object.strings(Field::Headers, message.headers.as_ref());
    if let Some(metadata) = message.metadata.as_ref().filter(|metadata| !metadata.is_empty()) {
        object.metadata::<V5>(metadata);
    }
    if let Some(spans) = message.spans.as_ref().filter(|spans| !V5 && !spans.is_empty()) {
        object.key(Field::Spans);
        list(spans.iter(), object.out, |span, out| list(span.iter(), out, text));
    }
    if let Some(include_spans) = message.include_spans.filter(|_| !V5) {
        object.key(Field::IncludeSpans);
        let _ = write!(object.out, "{include_spans}");
    }
    object.text(Field::Path, message.path);
    if let Some(payload) = message.payload.filter(|payload| !payload.is_empty()) {
        object.key(Field::Payload);
        let _ = write!(object.out, "\"{}\"", Base64Display::new(payload, &STANDARD));
    }
    object.text(Field::ServiceName, message.service_name);
    object.text(Field::Url, message.url);
    object.strings(Field::PartnerIds, message.partner_ids.as_ref());
    object.text(Field::SessionId, message.session_id);
    if !V5 || message.qos.0 != 0 {
        object.integer::<V5>(Field::Qos, message.qos.0);
    }
    out.extend_from_slice(if V5 { b"}\n" } else { b"}" });
}

/// The object that is being written. Its writes go to a `Vec` and cannot fail, so their results are ignored.
struct Object<'o> {
    out: &'o mut Vec<u8>,
    /// The character in front of the next key: `{` or `,`.
    open: u8,
}

impl Object<'_> {
    fn key(&mut self, field: Field) {
        self.out.push(self.open);
        self.open = b',';
        let _ = write!(self.out, "\"{field}\":");
    }

    fn integer<const V5: bool>(&mut self, field: Field, value: i64) {
        self.key(field);
        let _ = if !V5 && value.unsigned_abs() > MAX_EXACT {
            write!(self.out, "\"{value}\"")
        } else {
            write!(self.out, "{value}")
        };
    }

    fn text(&mut self, field: Field, value: Text<'_>) {
        if !value.is_empty() {
            self.key(field);
            text(value, self.out);
        }
    }

    fn strings(&mut self, field: Field, strings: Option<&Strings<'_>>) {
        if let Some(strings) = strings.filter(|strings| !strings.is_empty()) {
            self.key(field);
            list(strings.iter(), self.out, text);
        }
    }

    fn metadata<const V5: bool>(&mut self, metadata: &Metadata<'_>) {
        self.key(Field::Metadata);
        let mut entries: Vec<_> = metadata.iter().collect();
        if V5 {
            entries.sort_unstable();
        }
        let mut separator = b'{';
        for (key, value) in entries {
            self.out.push(separator);
            separator = b',';
            text(key, self.out);
            self.out.push(b':');
            text(value, self.out);
        }
        self.out.push(b'}');
    }
}

fn list<T>(items: impl Iterator<Item = T>, out: &mut Vec<u8>, mut write: impl FnMut(T, &mut Vec<u8>)) {
    out.push(b'[');
    for (index, item) in items.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write(item, out);
    }
    out.push(b']');
}

/// Writes a text in quotes, with Go's escapes: also `<`, `>`, `&`, U+2028 and U+2029 are escaped.
fn text(text: Text<'_>, out: &mut Vec<u8>) {
    out.push(b'"');
    for chunk in text.as_bytes().utf8_chunks() {
        escape(chunk.valid(), out);
        chunk.invalid().iter().for_each(|_| out.extend_from_slice(b"\\ufffd"));
    }
    out.push(b'"');
}

fn escape(text: &str, out: &mut Vec<u8>) {
    let mut plain = 0;
    let needs_escape =
        |c: char| matches!(c, '\0'..='\u{1f}' | '"' | '\\' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}');
    for (at, found) in text.match_indices(needs_escape) {
        out.extend_from_slice(&text.as_bytes()[plain..at]);
        plain = at + found.len();
        let short = match found.as_bytes()[0] {
            b'"' => b'"',
            b'\\' => b'\\',
            0x08 => b'b',
            0x0c => b'f',
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            _ => {
                let code = found.chars().next().map_or(0, u32::from);
                let _ = write!(out, "\\u{code:04x}");
                continue;
            }
        };
        out.extend_from_slice(&[b'\\', short]);
    }
    out.extend_from_slice(&text.as_bytes()[plain..]);
}
