//! A message as an Avro record of `schemas/wrp.avsc` (Apache Avro 1.12, "Binary Encoding").
//!
//! Written by hand because it is on the way of every record: straight into the thread's buffer, no intermediate value.
//! The fields and their branches are the schema's, in its order.

use wrp::{MessageRef, Metadata, Strings, Text};

/// The branches of `["null", T]`, as zigzag numbers.
const NULL: u8 = 0;
const VALUE: u8 = 2;

/// Appends the record `xmidt.wrp.Message`.
///
/// Avro's texts are UTF-8: where a message's are not, U+FFFD stands for what is wrong, as in JSON.
pub(super) fn message(message: &MessageRef<'_>, out: &mut Vec<u8>) {
    long(message.msg_type.0, out);
    text(message.source, out);
    text(message.dest, out);
    optional_text(message.transaction_uuid, out);
    optional_text(message.content_type, out);
    optional_text(message.accept, out);
    optional(message.status, out, long);
    optional(message.rdr, out, long);
    optional(message.headers.as_ref(), out, array);
    optional(message.metadata.as_ref(), out, map);
    optional_text(message.path, out);
    optional(message.payload, out, bytes);
    optional_text(message.service_name, out);
    optional_text(message.url, out);
    optional(message.partner_ids.as_ref(), out, array);
    optional_text(message.session_id, out);
    long(message.qos.0, out);
}

/// Appends the record `xmidt.wrp.RawMessage`: the message's length, then the message.
pub(super) fn raw_message(message: &MessageRef<'_>, out: &mut Vec<u8>) {
    let start = out.len();
    message.encode_v5(out);
    let end = out.len();
    // The length is known afterwards: it is written behind the message and turned to its front.
    long(signed(end - start), out);
    let length = out.len() - end;
    out[start..].rotate_right(length);
}

fn optional<T>(value: Option<T>, out: &mut Vec<u8>, write: impl FnOnce(T, &mut Vec<u8>)) {
    match value {
        None => out.push(NULL),
        Some(value) => {
            out.push(VALUE);
            write(value, out);
        }
    }
}

/// An empty text is an absent one.
fn optional_text(value: Text<'_>, out: &mut Vec<u8>) {
    optional((!value.is_empty()).then_some(value), out, text);
}

/// A number as a zigzag varint.
fn long(value: i64, out: &mut Vec<u8>) {
    let mut rest = ((value << 1) ^ (value >> 63)).cast_unsigned();
    while rest >= 0x80 {
        #[expect(clippy::cast_possible_truncation, reason = "seven bits at a time")]
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    #[expect(clippy::cast_possible_truncation, reason = "the last seven bits")]
    out.push(rest as u8);
}

fn bytes(value: &[u8], out: &mut Vec<u8>) {
    long(signed(value.len()), out);
    out.extend_from_slice(value);
}

fn text(value: Text<'_>, out: &mut Vec<u8>) {
    match value.to_str() {
        Ok(text) => bytes(text.as_bytes(), out),
        Err(_) => bytes(value.to_str_lossy().as_bytes(), out),
    }
}

/// One block with all items, and the empty one that ends the array.
fn array(items: &Strings<'_>, out: &mut Vec<u8>) {
    if !items.is_empty() {
        long(signed(items.len()), out);
        items.iter().for_each(|item| text(item, out));
    }
    long(0, out);
}

fn map(entries: &Metadata<'_>, out: &mut Vec<u8>) {
    if !entries.is_empty() {
        long(signed(entries.len()), out);
        for (key, value) in entries.iter() {
            text(key, out);
            text(value, out);
        }
    }
    long(0, out);
}

/// A length; none in memory exceeds `i64`.
fn signed(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
