//! Encoding a message directly into its final buffer (contract §1.1, §1.2).

use alloc::vec::Vec;

use super::write::{array_header, bin, integer, map_header, str};
use crate::{MessageRef, Metadata, Spans, Strings, Text};

impl MessageRef<'_> {
    /// Appends the message as v3 msgpack.
    pub fn encode_v3(&self, out: &mut Vec<u8>) {
        encode::<false>(self, out);
    }

    /// Appends the message as v5 msgpack, without `spans` and `include_spans`, which v5 does not have.
    pub fn encode_v5(&self, out: &mut Vec<u8>) {
        encode::<true>(self, out);
    }
}

/// A key with its msgpack header, as a constant.
macro_rules! key {
    ($name:literal) => {{
        const LEN: usize = $name.len();
        const KEY: [u8; LEN + 1] = {
            let mut key = [0xa0 | LEN as u8; LEN + 1];
            let mut at = 0;
            while at < LEN {
                key[at + 1] = $name.as_bytes()[at];
                at += 1;
            }
            key
        };
        &KEY
    }};
}

fn encode<const V5: bool>(message: &MessageRef<'_>, out: &mut Vec<u8>) {
    // v3 leaves out empty collections, v5 only absent ones.
    let headers = message.headers.as_ref().filter(|list| V5 || !list.is_empty());
    let metadata = message.metadata.as_ref().filter(|entries| V5 || !entries.is_empty());
    let spans = message.spans.as_ref().filter(|spans| !V5 && !spans.is_empty());
    let include_spans = message.include_spans.filter(|_| !V5);
    let payload = message.payload.filter(|payload| V5 || !payload.is_empty());
    let partner_ids = message.partner_ids.as_ref().filter(|list| V5 || !list.is_empty());

    let present = [
        !message.source.is_empty(),
        !message.dest.is_empty(),
        !message.transaction_uuid.is_empty(),
        !message.content_type.is_empty(),
        !message.accept.is_empty(),
        message.status.is_some(),
        message.rdr.is_some(),
        headers.is_some(),
        metadata.is_some(),
        spans.is_some(),
        include_spans.is_some(),
        !message.path.is_empty(),
        payload.is_some(),
        !message.service_name.is_empty(),
        !message.url.is_empty(),
        partner_ids.is_some(),
        !message.session_id.is_empty(),
    ];
    let fields = 2 + present.iter().map(|present| usize::from(*present)).sum::<usize>();

    out.reserve(size_hint(message));
    map_header(fields, out);
    out.extend_from_slice(key!("msg_type"));
    integer(message.msg_type.0, out);
    text(key!("source"), message.source, out);
    text(key!("dest"), message.dest, out);
    text(key!("transaction_uuid"), message.transaction_uuid, out);
    text(key!("content_type"), message.content_type, out);
    text(key!("accept"), message.accept, out);
    if let Some(status) = message.status {
        out.extend_from_slice(key!("status"));
        integer(status, out);
    }
    if let Some(rdr) = message.rdr {
        out.extend_from_slice(key!("rdr"));
        integer(rdr, out);
    }
    if let Some(headers) = headers {
        out.extend_from_slice(key!("headers"));
        strings(headers, out);
    }
    if let Some(entries) = metadata {
        out.extend_from_slice(key!("metadata"));
        map(entries, out);
    }
    if let Some(spans) = spans {
        out.extend_from_slice(key!("spans"));
        lists(spans, out);
    }
    if let Some(include_spans) = include_spans {
        out.extend_from_slice(key!("include_spans"));
        out.push(if include_spans { 0xc3 } else { 0xc2 });
    }
    text(key!("path"), message.path, out);
    if let Some(payload) = payload {
        out.extend_from_slice(key!("payload"));
        bin(payload, out);
    }
    text(key!("service_name"), message.service_name, out);
    text(key!("url"), message.url, out);
    if let Some(partner_ids) = partner_ids {
        out.extend_from_slice(key!("partner_ids"));
        strings(partner_ids, out);
    }
    text(key!("session_id"), message.session_id, out);
    out.extend_from_slice(key!("qos"));
    integer(message.qos.0, out);
}

/// Enough capacity for most messages, so that the buffer grows once.
fn size_hint(message: &MessageRef<'_>) -> usize {
    let texts = message.source.len()
        + message.dest.len()
        + message.transaction_uuid.len()
        + message.content_type.len()
        + message.session_id.len();
    256 + texts + message.payload.map_or(0, <[u8]>::len)
}

/// Appends a text field, unless it is empty.
#[inline]
fn text<const N: usize>(key: &[u8; N], value: Text<'_>, out: &mut Vec<u8>) {
    if !value.is_empty() {
        out.extend_from_slice(key);
        str(value, out);
    }
}

pub(super) fn strings(list: &Strings<'_>, out: &mut Vec<u8>) {
    array_header(list.len(), out);
    match list.verbatim() {
        Some(bytes) => out.extend_from_slice(bytes),
        None => list.iter().for_each(|text| str(text, out)),
    }
}

fn lists(spans: &Spans<'_>, out: &mut Vec<u8>) {
    array_header(spans.len(), out);
    spans.iter().for_each(|span| strings(&span, out));
}

fn map(entries: &Metadata<'_>, out: &mut Vec<u8>) {
    map_header(entries.len(), out);
    match entries.verbatim() {
        None => entries.iter().for_each(|entry| pair(entry, out)),
        Some(bytes) => {
            out.extend_from_slice(bytes);
            for entry in entries.overlay() {
                pair(*entry, out);
            }
        }
    }
}

#[inline]
fn pair((key, value): (Text<'_>, Text<'_>), out: &mut Vec<u8>) {
    str(key, out);
    str(value, out);
}
