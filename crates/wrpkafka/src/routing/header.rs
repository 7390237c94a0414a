//! The headers of records: literals, and references to fields of the message (contract §8.8, `headers`).
//!
//! Rendering writes into one [`HeaderBlock`] that is used again for the next message. How headers reach the broker is the
//! client's matter.

mod block;

use wrp::{Field, Locator, MessageRef, Text};

pub use block::HeaderBlock;
#[cfg(feature = "client")]
pub(crate) use block::Headers;

/// The most headers that one reference to all metadata adds to a record. The sender chooses the metadata.
const MAX_MAP_HEADERS: usize = 64;
/// The most bytes of names and values that one reference to all metadata adds to a record.
const MAX_MAP_BYTES: usize = 16 << 10;

/// The reference to all metadata.
const WHOLE_MAP: &str = "wrp.Metadata.*";

/// The compiled `headers`: one entry for each name and value, in the order of the configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct HeaderTemplates(Box<[Template]>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Template {
    name: Box<str>,
    value: Value,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Value {
    Literal(Box<str>),
    Reference(Reference),
    /// One header for each metadata entry; the template's name is the prefix of their names.
    WholeMap,
}

/// What a `wrp.<Field>` reference is replaced by.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Reference {
    /// A field by its Go name; metadata, spans and payload have no header of their own.
    Field(Field),
    /// `DeviceID`: the id in the source.
    DeviceId,
    /// The message's headers of this name.
    Header(Box<str>),
    /// A metadata value.
    Metadata(Box<str>),
}

/// What is wrong with a header.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HeaderError {
    #[error("is a header without a name")]
    NoName,
    #[error("has no value: expected at least one")]
    NoValue,
    #[error("`{0}` refers to no field of a WRP message")]
    UnknownField(String),
    #[error(
        "`{WHOLE_MAP}` gives a header for each metadata entry: expected a name such as `meta-*`, whose beginning keeps devices from choosing any name"
    )]
    NoPrefix,
}

impl HeaderTemplates {
    /// Parses the values of all headers. Calls `fault` with the header's name for every error.
    pub(crate) fn parse(headers: &[(String, Vec<String>)], mut fault: impl FnMut(&str, HeaderError)) -> Self {
        let mut templates = Vec::new();
        for (name, values) in headers {
            if name.is_empty() {
                fault(name, HeaderError::NoName);
            }
            if values.is_empty() {
                fault(name, HeaderError::NoValue);
            }
            for value in values {
                match Template::parse(name, value) {
                    Ok(template) => templates.push(template),
                    Err(problem) => fault(name, problem),
                }
            }
        }
        Self(templates.into())
    }

    /// Appends the headers of a message's records.
    pub(crate) fn render(&self, message: &MessageRef<'_>, out: &mut HeaderBlock) {
        for template in &self.0 {
            match &template.value {
                Value::Literal(text) => out.push(&template.name, text.as_bytes()),
                Value::Reference(reference) => reference.render(&template.name, message, out),
                Value::WholeMap => render_map(&template.name, message, out),
            }
        }
    }
}

impl Template {
    fn parse(name: &str, value: &str) -> Result<Self, HeaderError> {
        if value != WHOLE_MAP {
            return Ok(Self { name: name.into(), value: Value::parse(value)? });
        }
        match name.strip_suffix('*') {
            Some(prefix) if !prefix.is_empty() => Ok(Self { name: prefix.into(), value: Value::WholeMap }),
            _ => Err(HeaderError::NoPrefix),
        }
    }
}

impl Value {
    fn parse(text: &str) -> Result<Self, HeaderError> {
        match text.strip_prefix("wrp.") {
            None | Some("") => Ok(Self::Literal(text.into())),
            Some(field) => match Reference::parse(field) {
                Some(reference) => Ok(Self::Reference(reference)),
                None => Err(HeaderError::UnknownField(text.to_owned())),
            },
        }
    }
}

impl Reference {
    fn parse(text: &str) -> Option<Self> {
        if let Some(name) = text.strip_prefix("Header.") {
            return Some(Self::Header(name.trim().into()));
        }
        if let Some(key) = text.strip_prefix("Metadata.") {
            return Some(Self::Metadata(key.into()));
        }
        if text == "DeviceID" {
            return Some(Self::DeviceId);
        }
        match Field::from_go_name(text)? {
            Field::Metadata | Field::Spans | Field::IncludeSpans | Field::Payload => None,
            field => Some(Self::Field(field)),
        }
    }

    fn render(&self, name: &str, message: &MessageRef<'_>, out: &mut HeaderBlock) {
        match self {
            Self::Field(field) => render_field(*field, name, message, out),
            Self::DeviceId => {
                if let Some(Ok(source)) = message.source.to_str().ok().map(Locator::parse_v5) {
                    out.push_text(name, Text::from(&*source.authority));
                }
            }
            Self::Header(wanted) => {
                for line in message.headers.into_iter().flatten() {
                    if let Some(value) = header_value(line, wanted) {
                        out.push(name, value);
                    }
                }
            }
            Self::Metadata(key) => {
                if let Some(value) = message.metadata(key) {
                    out.push_text(name, value);
                }
            }
        }
    }
}

/// Appends the values of a field: one header for each item of a list, none for an absent number.
fn render_field(field: Field, name: &str, message: &MessageRef<'_>, out: &mut HeaderBlock) {
    let mut number = |number: Option<i64>| {
        if let Some(number) = number {
            out.push_display(name, number);
        }
    };
    match field {
        Field::Status => number(message.status),
        Field::Rdr => number(message.rdr),
        Field::MsgType => match message.msg_type.name_v3() {
            Some(text) => out.push(name, text.as_bytes()),
            None => out.push_display(name, message.msg_type),
        },
        Field::Source => out.push_text(name, message.source),
        Field::Dest => out.push_text(name, message.dest),
        Field::TransactionUuid => out.push_text(name, message.transaction_uuid),
        Field::ContentType => out.push_text(name, message.content_type),
        Field::Accept => out.push_text(name, message.accept),
        Field::Headers => message.headers.into_iter().flatten().for_each(|line| out.push_text(name, line)),
        Field::Path => out.push_text(name, message.path),
        Field::ServiceName => out.push_text(name, message.service_name),
        Field::Url => out.push_text(name, message.url),
        Field::PartnerIds => message.partner_ids.into_iter().flatten().for_each(|id| out.push_text(name, id)),
        Field::SessionId => out.push_text(name, message.session_id),
        Field::Qos => out.push_display(name, message.qos),
        Field::Metadata | Field::Spans | Field::IncludeSpans | Field::Payload => {}
    }
}

/// Appends a header for each metadata entry, in the order of the message and within the limits above: the prefix and the
/// entry's key without its leading `/`. Skips entries without a value, and keys that cannot be a header's name.
fn render_map(prefix: &str, message: &MessageRef<'_>, out: &mut HeaderBlock) {
    let (mut headers, mut bytes) = (0, 0);
    for (key, value) in message.metadata.iter().flat_map(wrp::Metadata::iter) {
        let Ok(key) = key.to_str() else { continue };
        let key = key.strip_prefix('/').unwrap_or(key);
        if key.is_empty() || key.contains('\0') || value.is_empty() {
            continue;
        }
        let size = prefix.len() + key.len() + value.len();
        if headers == MAX_MAP_HEADERS {
            break;
        }
        if bytes + size <= MAX_MAP_BYTES {
            out.push_joined(prefix, key, value.as_bytes());
            headers += 1;
            bytes += size;
        }
    }
}

/// The value of a `Name: value` line if it has the wanted name. Blanks around both and the name's case are ignored.
fn header_value<'a>(line: Text<'a>, wanted: &str) -> Option<&'a [u8]> {
    let line = line.as_bytes();
    let colon = line.iter().position(|byte| *byte == b':')?;
    let name = str::from_utf8(&line[..colon]).ok()?.trim();
    if !same_name(name, wanted) {
        return None;
    }
    let value = &line[colon + 1..];
    let value = str::from_utf8(value).map_or(value.trim_ascii(), |text| text.trim().as_bytes());
    (!value.is_empty()).then_some(value)
}

fn same_name(one: &str, other: &str) -> bool {
    if one.is_ascii() && other.is_ascii() {
        return one.eq_ignore_ascii_case(other);
    }
    one.chars().flat_map(char::to_lowercase).eq(other.chars().flat_map(char::to_lowercase))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(name: &str, metadata: &[(&str, &[u8])]) -> Vec<(String, Vec<u8>)> {
        let headers = [(name.to_owned(), vec![WHOLE_MAP.to_owned()])];
        let templates = HeaderTemplates::parse(&headers, |name, fault| panic!("{name} {fault}"));
        let mut message = MessageRef::default();
        for (key, value) in metadata {
            message.set_metadata(key, Text::new(value));
        }
        let mut block = HeaderBlock::default();
        templates.render(&message, &mut block);
        block.iter().map(|(name, value)| (name.to_owned(), value.to_vec())).collect()
    }

    #[test]
    fn the_whole_map_gives_a_header_for_each_entry_under_its_prefix() {
        let metadata: [(&str, &[u8]); 7] = [
            ("/fw-name", b"f"),
            ("tenant", b"\xff"),
            ("//x", b"1"),
            ("", b"no name"),
            ("/", b"no name"),
            ("empty", b""),
            ("a\0b", b"no name of a header"),
        ];
        let header = |name: &str, value: &[u8]| (name.to_owned(), value.to_vec());
        assert_eq!(
            rendered("meta-*", &metadata),
            [header("meta-fw-name", b"f"), header("meta-tenant", b"\xff"), header("meta-/x", b"1")]
        );
    }

    #[test]
    fn the_whole_map_gives_no_more_headers_and_bytes_than_the_limits() {
        let keys: Vec<_> = (0..200).map(|at| format!("key{at:03}")).collect();
        let many: Vec<_> = keys.iter().map(|key| (key.as_str(), &b"v"[..])).collect();
        let headers = rendered("m.*", &many);
        assert_eq!(headers.len(), MAX_MAP_HEADERS);
        assert_eq!(headers[63].0, "m.key063");

        let large = vec![b'x'; MAX_MAP_BYTES - 3];
        let headers = rendered("m.*", &[("a", b"1"), ("b", &large), ("c", b"2")]);
        let names: Vec<_> = headers.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["m.a", "m.c"], "what is too large is left out, what fits is not");
    }

    #[test]
    fn the_whole_map_needs_a_prefix() {
        for name in ["*", "meta"] {
            let headers = [(name.to_owned(), vec![WHOLE_MAP.to_owned()])];
            let mut faults = Vec::new();
            HeaderTemplates::parse(&headers, |_, fault| faults.push(fault));
            assert_eq!(faults, [HeaderError::NoPrefix], "{name}");
        }
    }

    #[test]
    fn vectors_headers() {
        vectors::run("headers.json", |case| {
            let headers: Vec<(String, Vec<String>)> = case.value["headers"]
                .as_object()
                .into_iter()
                .flatten()
                .map(|(name, values)| {
                    let texts = values.as_array().into_iter().flatten();
                    (name.clone(), texts.map(|text| text.as_str().unwrap_or_default().to_owned()).collect())
                })
                .collect();
            let mut faults = Vec::new();
            let templates =
                HeaderTemplates::parse(&headers, |name, fault| faults.push((name.to_owned(), fault)));
            if case.value["error"].is_string() == faults.is_empty() {
                return Err(format!("{faults:?}, expected error {}", case.value["error"]));
            }
            if !faults.is_empty() {
                return Ok(());
            }
            let message = vectors::message(&case.value["message"]);
            let mut block = HeaderBlock::default();
            templates.render(&message.as_ref(), &mut block);
            let mut actual: Vec<_> =
                block.iter().map(|(name, value)| (name.to_owned(), value.to_vec())).collect();
            actual.sort_by(|one, other| one.0.cmp(&other.0));
            let expected: Vec<_> = case.value["result"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|pair| (pair[0].as_str().unwrap_or_default().to_owned(), vectors::bytes(&pair[1])))
                .collect();
            if actual == expected { Ok(()) } else { Err(format!("{actual:?}, expected {expected:?}")) }
        });
    }
}
