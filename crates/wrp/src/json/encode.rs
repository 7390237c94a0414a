//! Encoding a message as JSON, with the reference's spelling of numbers and escapes (contract §1.8).

use alloc::vec::Vec;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::number;
use super::scan::before_escape;
use crate::msgpack::walk;
use crate::{MessageRef, Metadata, Strings, Text};

/// The largest integer that v3 writes without quotes. A float holds each integer up to here exactly.
const MAX_EXACT: u64 = 1 << 53;

/// A key with what stands around it.
macro_rules! key {
    ($name:literal) => {
        concat!(",\"", $name, "\":").as_bytes()
    };
}

pub(super) fn encode<const V5: bool>(message: &MessageRef<'_>, out: &mut Vec<u8>) {
    out.reserve(256 + message.payload.map_or(0, <[u8]>::len) / 3 * 4);
    out.extend_from_slice(b"{\"msg_type\":");
    integer::<V5>(message.msg_type.0, out);
    text_field(key!("source"), message.source, out);
    text_field(key!("dest"), message.dest, out);
    text_field(key!("transaction_uuid"), message.transaction_uuid, out);
    text_field(key!("content_type"), message.content_type, out);
    text_field(key!("accept"), message.accept, out);
    if let Some(status) = message.status {
        out.extend_from_slice(key!("status"));
        integer::<V5>(status, out);
    }
    if let Some(rdr) = message.rdr {
        out.extend_from_slice(key!("rdr"));
        integer::<V5>(rdr, out);
    }
    strings_field(key!("headers"), message.headers.as_ref(), out);
    if let Some(entries) = message.metadata.as_ref().filter(|metadata| !metadata.is_empty()) {
        out.extend_from_slice(key!("metadata"));
        metadata::<V5>(entries, out);
    }
    if let Some(spans) = message.spans.as_ref().filter(|spans| !V5 && !spans.is_empty()) {
        out.extend_from_slice(key!("spans"));
        list(spans.iter(), out, |span, out| list(span.iter(), out, text));
    }
    if let Some(include_spans) = message.include_spans.filter(|_| !V5) {
        out.extend_from_slice(key!("include_spans"));
        out.extend_from_slice(if include_spans { b"true" } else { b"false" });
    }
    text_field(key!("path"), message.path, out);
    if let Some(payload) = message.payload.filter(|payload| !payload.is_empty()) {
        out.extend_from_slice(key!("payload"));
        base64(payload, out);
    }
    text_field(key!("service_name"), message.service_name, out);
    text_field(key!("url"), message.url, out);
    strings_field(key!("partner_ids"), message.partner_ids.as_ref(), out);
    text_field(key!("session_id"), message.session_id, out);
    if !V5 || message.qos.0 != 0 {
        out.extend_from_slice(key!("qos"));
        integer::<V5>(message.qos.0, out);
    }
    out.extend_from_slice(if V5 { b"}\n" } else { b"}" });
}

fn integer<const V5: bool>(value: i64, out: &mut Vec<u8>) {
    let in_quotes = !V5 && value.unsigned_abs() > MAX_EXACT;
    if in_quotes {
        out.push(b'"');
    }
    number::write(value, out);
    if in_quotes {
        out.push(b'"');
    }
}

/// Appends a text field, unless it is empty.
fn text_field(key: &[u8], value: Text<'_>, out: &mut Vec<u8>) {
    if !value.is_empty() {
        out.extend_from_slice(key);
        text(value, out);
    }
}

fn strings_field(key: &[u8], strings: Option<&Strings<'_>>, out: &mut Vec<u8>) {
    if let Some(strings) = strings.filter(|strings| !strings.is_empty()) {
        out.extend_from_slice(key);
        list(strings.iter(), out, text);
    }
}

fn metadata<const V5: bool>(metadata: &Metadata<'_>, out: &mut Vec<u8>) {
    let mut separator = b'{';
    let mut write = |(key, value)| {
        out.push(separator);
        separator = b',';
        text(key, out);
        out.push(b':');
        text(value, out);
    };
    match metadata.verbatim() {
        _ if V5 => {
            let mut entries: Vec<_> = metadata.iter().collect();
            entries.sort_unstable();
            entries.into_iter().for_each(write);
        }
        None => metadata.iter().for_each(&mut write),
        Some(bytes) => {
            walk::pairs(bytes).for_each(&mut write);
            metadata.overlay().copied().for_each(&mut write);
        }
    }
    out.push(b'}');
}

fn base64(payload: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    let start = out.len();
    out.resize(start + base64::encoded_len(payload.len(), true).unwrap_or_default(), 0);
    // The room is exactly what was asked for, so this cannot fail.
    let _ = STANDARD.encode_slice(payload, &mut out[start..]);
    out.push(b'"');
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

/// What a text may contain as it is: ASCII without quotes, backslashes, control characters, and `<`, `>`, `&`.
const PLAIN: [bool; 256] = {
    let mut plain = [false; 256];
    let mut byte = 0x20;
    while byte < 0x80 {
        plain[byte] = !matches!(byte as u8, b'"' | b'\\' | b'<' | b'>' | b'&');
        byte += 1;
    }
    plain
};

/// Writes a text in quotes, with Go's escapes: also `<`, `>`, `&`, U+2028 and U+2029 are escaped.
fn text(text: Text<'_>, out: &mut Vec<u8>) {
    let bytes = text.as_bytes();
    out.reserve(bytes.len() + 2);
    out.push(b'"');
    let (plain, rest) = bytes.split_at(before_escape(bytes));
    out.extend_from_slice(plain);
    if !rest.is_empty() {
        for chunk in rest.utf8_chunks() {
            escape(chunk.valid(), out);
            chunk.invalid().iter().for_each(|_| out.extend_from_slice(b"\\ufffd"));
        }
    }
    out.push(b'"');
}

fn escape(text: &str, out: &mut Vec<u8>) {
    let bytes = text.as_bytes();
    let mut plain = 0;
    for (at, byte) in bytes.iter().copied().enumerate() {
        let (code, length) = match byte {
            _ if PLAIN[usize::from(byte)] => continue,
            0xe2 => match bytes.get(at..at + 3) {
                Some(b"\xe2\x80\xa8") => (0x2028, 3),
                Some(b"\xe2\x80\xa9") => (0x2029, 3),
                _ => continue,
            },
            0x80.. => continue,
            _ => (u16::from(byte), 1),
        };
        out.extend_from_slice(&bytes[plain..at]);
        plain = at + length;
        let short = match byte {
            b'"' => b'"',
            b'\\' => b'\\',
            0x08 => b'b',
            0x0c => b'f',
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            _ => {
                out.extend_from_slice(b"\\u");
                out.extend(code.to_be_bytes().iter().flat_map(|byte| [hex(byte >> 4), hex(byte & 0x0f)]));
                continue;
            }
        };
        out.extend_from_slice(&[b'\\', short]);
    }
    out.extend_from_slice(&bytes[plain..]);
}

/// The digit of a number below 16.
const fn hex(number: u8) -> u8 {
    if number < 10 { b'0' + number } else { b'a' + number - 10 }
}
