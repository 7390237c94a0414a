//! The headers of records: literals, and references to fields of the message (contract §8).

use std::io::Write as _;

use wrp::{DeviceId, MessageRef, Text};

/// The compiled `headers`: one entry a name and value, in the order of the configuration.
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
    Field(Field),
}

/// What a `wrp.<Field>` reference is replaced by.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Field {
    Type,
    Source,
    DeviceId,
    Destination,
    TransactionUuid,
    ContentType,
    Accept,
    Status,
    RequestDeliveryResponse,
    Headers,
    Path,
    ServiceName,
    Url,
    PartnerIds,
    SessionId,
    QualityOfService,
    /// One of the message's headers, by its name.
    Header(Box<str>),
    /// A metadata value.
    Metadata(Box<str>),
}

/// What is wrong with a header.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidHeader {
    #[error("is a header without a name")]
    NoName,
    #[error("has no value: expected at least one")]
    NoValue,
    #[error("`{0}` refers to no field of a WRP message")]
    UnknownField(String),
}

impl HeaderTemplates {
    /// Compiles the values of one header after the other. Every fault is told with the header's name.
    pub(crate) fn compile(
        headers: &[(String, Vec<String>)],
        mut fault: impl FnMut(&str, InvalidHeader),
    ) -> HeaderTemplates {
        let mut templates = Vec::new();
        for (name, values) in headers {
            if name.is_empty() {
                fault(name, InvalidHeader::NoName);
            }
            if values.is_empty() {
                fault(name, InvalidHeader::NoValue);
            }
            for value in values {
                match Value::parse(value) {
                    Ok(value) => templates.push(Template { name: name.as_str().into(), value }),
                    Err(problem) => fault(name, problem),
                }
            }
        }
        HeaderTemplates(templates.into())
    }

    /// Appends the headers of a message's records.
    pub(crate) fn render(&self, message: &MessageRef<'_>, out: &mut HeaderBlock) {
        for template in &self.0 {
            match &template.value {
                Value::Literal(text) => out.push(&template.name, text.as_bytes()),
                Value::Field(field) => field.render(&template.name, message, out),
            }
        }
    }
}

impl Value {
    fn parse(text: &str) -> Result<Value, InvalidHeader> {
        match text.strip_prefix("wrp.") {
            None | Some("") => Ok(Value::Literal(text.into())),
            Some(field) => match Field::parse(field) {
                Some(field) => Ok(Value::Field(field)),
                None => Err(InvalidHeader::UnknownField(text.to_owned())),
            },
        }
    }
}

impl Field {
    fn parse(text: &str) -> Option<Field> {
        Some(match text {
            "Type" => Field::Type,
            "Source" => Field::Source,
            "DeviceID" => Field::DeviceId,
            "Destination" => Field::Destination,
            "TransactionUUID" => Field::TransactionUuid,
            "ContentType" => Field::ContentType,
            "Accept" => Field::Accept,
            "Status" => Field::Status,
            "RequestDeliveryResponse" => Field::RequestDeliveryResponse,
            "Headers" => Field::Headers,
            "Path" => Field::Path,
            "ServiceName" => Field::ServiceName,
            "URL" => Field::Url,
            "PartnerIDs" => Field::PartnerIds,
            "SessionID" => Field::SessionId,
            "QualityOfService" => Field::QualityOfService,
            _ => {
                if let Some(name) = text.strip_prefix("Header.") {
                    Field::Header(name.trim().into())
                } else {
                    Field::Metadata(text.strip_prefix("Metadata.")?.into())
                }
            }
        })
    }

    fn render(&self, name: &str, message: &MessageRef<'_>, out: &mut HeaderBlock) {
        match self {
            Field::Type => match message.msg_type.name_v3() {
                Some(text) => out.push(name, text.as_bytes()),
                None => out.push_display(name, message.msg_type),
            },
            Field::Source => out.push_text(name, message.source),
            Field::DeviceId => {
                if let Some(Ok(id)) = message.source.to_str().ok().map(DeviceId::parse_v5) {
                    out.push_text(name, Text::from(id.id()));
                }
            }
            Field::Destination => out.push_text(name, message.dest),
            Field::TransactionUuid => out.push_text(name, message.transaction_uuid),
            Field::ContentType => out.push_text(name, message.content_type),
            Field::Accept => out.push_text(name, message.accept),
            Field::Status => {
                if let Some(status) = message.status {
                    out.push_display(name, status);
                }
            }
            Field::RequestDeliveryResponse => {
                if let Some(rdr) = message.rdr {
                    out.push_display(name, rdr);
                }
            }
            Field::Headers => {
                message.headers.into_iter().flatten().for_each(|line| out.push_text(name, line));
            }
            Field::Path => out.push_text(name, message.path),
            Field::ServiceName => out.push_text(name, message.service_name),
            Field::Url => out.push_text(name, message.url),
            Field::PartnerIds => {
                message.partner_ids.into_iter().flatten().for_each(|id| out.push_text(name, id));
            }
            Field::SessionId => out.push_text(name, message.session_id),
            Field::QualityOfService => out.push_display(name, message.qos),
            Field::Header(wanted) => {
                for line in message.headers.into_iter().flatten() {
                    if let Some(value) = header_value(line, wanted) {
                        out.push(name, value);
                    }
                }
            }
            Field::Metadata(key) => {
                if let Some(value) = message.metadata(key) {
                    out.push_text(name, value);
                }
            }
        }
    }
}

/// The value of a `Name: value` line, if it has that name. Blanks around both do not count, nor does the name's case.
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

/// The rendered headers of a record in one allocation, which can be reused.
///
/// Names and values lie one after the other, each behind its length (4 bytes, native order).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct HeaderBlock {
    bytes: Vec<u8>,
    count: usize,
}

/// The length that stands before each name and value.
const LENGTH: usize = size_of::<u32>();

impl HeaderBlock {
    pub(crate) fn push(&mut self, name: &str, value: &[u8]) {
        for part in [name.as_bytes(), value] {
            // A message has fewer than 4 GiB, and so has each of its parts.
            self.bytes.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_ne_bytes());
            self.bytes.extend_from_slice(part);
        }
        self.count += 1;
    }

    fn push_text(&mut self, name: &str, value: Text<'_>) {
        if !value.is_empty() {
            self.push(name, value.as_bytes());
        }
    }

    pub(crate) fn push_display(&mut self, name: &str, value: impl std::fmt::Display) {
        // The longest is `MessageType(-9223372036854775808)`.
        let mut text = [0; 48];
        let mut rest = &mut text[..];
        let fits = write!(rest, "{value}").is_ok();
        let left = rest.len();
        if fits {
            self.push(name, &text[..text.len() - left]);
        }
    }

    /// Appends all headers of another block.
    pub(crate) fn append(&mut self, other: &HeaderBlock) {
        self.bytes.extend_from_slice(&other.bytes);
        self.count += other.count;
    }

    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.count = 0;
    }

    /// How many headers there are.
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// The bytes of all names and values.
    pub(crate) fn size(&self) -> usize {
        self.bytes.len() - 2 * LENGTH * self.count
    }

    /// What the buffer has room for without growing.
    pub(crate) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let mut rest = self.bytes.as_slice();
        std::iter::from_fn(move || {
            let name = take(&mut rest)?;
            let value = take(&mut rest)?;
            Some((str::from_utf8(name).unwrap_or_default(), value))
        })
    }
}

fn take<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, tail) = rest.split_first_chunk::<LENGTH>()?;
    let (part, tail) = tail.split_at_checked(u32::from_ne_bytes(*length) as usize)?;
    *rest = tail;
    Some(part)
}

#[cfg(test)]
mod tests {
    use super::*;

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
                HeaderTemplates::compile(&headers, |name, fault| faults.push((name.to_owned(), fault)));
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

    #[test]
    fn a_block_counts_names_and_values_only() {
        let mut block = HeaderBlock::default();
        block.push("name", b"value");
        block.push("empty", b"");
        assert_eq!((block.len(), block.size()), (2, 14));
        assert_eq!(block.iter().collect::<Vec<_>>(), [("name", &b"value"[..]), ("empty", b"")]);
    }
}
