//! Decoding a message from JSON (contract §1.8).

use alloc::borrow::Cow;
use alloc::vec::Vec;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::number::{any_integer, plain_integer};
use super::read::Reader;
use crate::{
    DecodeError, Field, Limits, Message, MessageType, MetadataBuf, Qos, StringsBuf, TextBuf, WireError,
};

/// The same as Go's `base64.StdEncoding`: padding is required, but unused bits of the last character may be set.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireCanonical),
);

/// The bytes of most messages' metadata.
const USUAL_METADATA: usize = 192;
/// The bytes of most lists.
const USUAL_STRINGS: usize = 24;

pub(super) fn decode<const V5: bool>(text: &[u8], limits: &Limits) -> Result<Message, DecodeError> {
    let mut decoder = Decoder::<'_, V5> {
        reader: Reader { rest: text, entries: limits.entries },
        message: Message::default(),
        limits,
        at: None,
    };
    match decoder.document().and_then(|()| decoder.check_ids()) {
        Ok(()) => Ok(decoder.message),
        Err(problem) => {
            let offset = text.len() - decoder.reader.rest.len();
            Err(DecodeError { problem, field: decoder.at, offset })
        }
    }
}

struct Decoder<'a, const V5: bool> {
    reader: Reader<'a, V5>,
    message: Message,
    limits: &'a Limits,
    /// The field whose value is being read.
    at: Option<Field>,
}

impl<'a, const V5: bool> Decoder<'a, V5> {
    fn document(&mut self) -> Result<(), WireError> {
        match self.reader.peek()? {
            b'n' => self.reader.word(b"null"),
            b'{' => self.fields(),
            _ => Err(WireError::ExpectedMessage),
        }
    }

    fn check_ids(&mut self) -> Result<(), WireError> {
        for (field, id) in [
            (Field::TransactionUuid, &self.message.transaction_uuid),
            (Field::SessionId, &self.message.session_id),
        ] {
            if id.as_bytes().len() > self.limits.id_bytes {
                self.at = Some(field);
                return Err(WireError::IdTooLong);
            }
        }
        Ok(())
    }

    fn fields(&mut self) -> Result<(), WireError> {
        let Decoder { reader, message, limits, at } = self;
        reader.each(b'{', |reader| {
            *at = None;
            let key = reader.text()?;
            reader.expect(b':')?;
            match field::<V5>(&key) {
                Some(field) => {
                    *at = Some(field);
                    value(reader, message, limits, field)
                }
                None => reader.skip(),
            }
        })
    }
}

/// The field with this key. v5 ignores the case of keys and has no spans.
fn field<const V5: bool>(key: &[u8]) -> Option<Field> {
    let field = match Field::from_key(key) {
        None if V5 => Field::from_key(&key.to_ascii_lowercase()),
        field => field,
    };
    field.filter(|field| !(V5 && matches!(field, Field::Spans | Field::IncludeSpans)))
}

fn value<const V5: bool>(
    reader: &mut Reader<'_, V5>,
    message: &mut Message,
    limits: &Limits,
    field: Field,
) -> Result<(), WireError> {
    if reader.null()? {
        clear::<V5>(message, field);
        return Ok(());
    }
    match field {
        Field::MsgType => message.msg_type = MessageType(integer(reader)?),
        Field::Source => message.source = text(reader)?,
        Field::Dest => message.dest = text(reader)?,
        Field::TransactionUuid => message.transaction_uuid = text(reader)?,
        Field::ContentType => message.content_type = text(reader)?,
        Field::Accept => message.accept = text(reader)?,
        Field::Status => message.status = Some(integer(reader)?),
        Field::Rdr => message.rdr = Some(integer(reader)?),
        Field::Headers => message.headers = Some(strings(reader)?),
        Field::Metadata => metadata(reader, limits, message.metadata.get_or_insert_default())?,
        Field::Spans => message.spans = Some(spans(reader)?),
        Field::IncludeSpans => message.include_spans = Some(boolean(reader)?),
        Field::Path => message.path = text(reader)?,
        Field::Payload => message.payload = Some(payload(reader)?),
        Field::ServiceName => message.service_name = text(reader)?,
        Field::Url => message.url = text(reader)?,
        Field::PartnerIds => message.partner_ids = Some(strings(reader)?),
        Field::SessionId => message.session_id = text(reader)?,
        Field::Qos => message.qos = Qos(integer(reader)?),
    }
    Ok(())
}

/// Applies `null` to a field: v3 sets its zero value, v5 leaves texts and numbers unchanged.
fn clear<const V5: bool>(message: &mut Message, field: Field) {
    match field {
        Field::Status => message.status = None,
        Field::Rdr => message.rdr = None,
        Field::Headers => message.headers = None,
        Field::Metadata => message.metadata = None,
        Field::Spans => message.spans = None,
        Field::IncludeSpans => message.include_spans = None,
        Field::Payload => message.payload = None,
        Field::PartnerIds => message.partner_ids = None,
        _ if V5 => {}
        Field::MsgType => message.msg_type = MessageType::default(),
        Field::Source => message.source = TextBuf::default(),
        Field::Dest => message.dest = TextBuf::default(),
        Field::TransactionUuid => message.transaction_uuid = TextBuf::default(),
        Field::ContentType => message.content_type = TextBuf::default(),
        Field::Accept => message.accept = TextBuf::default(),
        Field::Path => message.path = TextBuf::default(),
        Field::ServiceName => message.service_name = TextBuf::default(),
        Field::Url => message.url = TextBuf::default(),
        Field::SessionId => message.session_id = TextBuf::default(),
        Field::Qos => message.qos = Qos::default(),
    }
}

/// v3 accepts an integer in quotes, too, and reads an empty text as 0.
fn integer<const V5: bool>(reader: &mut Reader<'_, V5>) -> Result<i64, WireError> {
    let quoted = reader.peek()? == b'"';
    let integer = match quoted {
        true if V5 => return Err(WireError::ExpectedInteger),
        true => match reader.raw_text()?.0 {
            [] => Some(0),
            text => any_integer(text),
        },
        false if V5 => plain_integer(reader.number()?),
        false => any_integer(reader.number()?),
    };
    integer.ok_or(WireError::ExpectedInteger)
}

fn boolean<const V5: bool>(reader: &mut Reader<'_, V5>) -> Result<bool, WireError> {
    match reader.peek()? {
        b't' => reader.word(b"true").map(|()| true),
        b'f' => reader.word(b"false").map(|()| false),
        _ => Err(WireError::ExpectedBool),
    }
}

fn text<const V5: bool>(reader: &mut Reader<'_, V5>) -> Result<TextBuf, WireError> {
    Ok(bytes(reader)?.into_owned().into())
}

/// The bytes of a text. `null` is the empty text. v3 accepts numbers and bools, too, as they are written.
fn bytes<'a, const V5: bool>(reader: &mut Reader<'a, V5>) -> Result<Cow<'a, [u8]>, WireError> {
    Ok(match reader.peek()? {
        b'"' => reader.text()?,
        b'n' => reader.word(b"null").map(|()| Cow::default())?,
        _ if V5 => return Err(WireError::ExpectedText),
        b't' => reader.word(b"true").map(|()| Cow::Borrowed(&b"true"[..]))?,
        b'f' => reader.word(b"false").map(|()| Cow::Borrowed(&b"false"[..]))?,
        _ => Cow::Borrowed(reader.number().map_err(|_| WireError::ExpectedText)?),
    })
}

fn strings<const V5: bool>(reader: &mut Reader<'_, V5>) -> Result<StringsBuf, WireError> {
    let mut strings = StringsBuf::new();
    strings.reserve(reader.rest.len().min(USUAL_STRINGS));
    list(reader, |reader| {
        strings.push(bytes(reader)?);
        Ok(())
    })?;
    Ok(strings)
}

fn spans<const V5: bool>(reader: &mut Reader<'_, V5>) -> Result<Vec<StringsBuf>, WireError> {
    let mut spans = Vec::new();
    list(reader, |reader| {
        spans.push(if reader.null()? { StringsBuf::new() } else { strings(reader)? });
        Ok(())
    })?;
    Ok(spans)
}

/// Calls `item` for each. In v3 an object is the list of its keys and values.
fn list<'a, const V5: bool>(
    reader: &mut Reader<'a, V5>,
    mut item: impl FnMut(&mut Reader<'a, V5>) -> Result<(), WireError>,
) -> Result<(), WireError> {
    match reader.peek()? {
        b'[' => reader.each(b'[', item),
        b'{' if !V5 => reader.each(b'{', |reader| {
            item(reader)?;
            reader.expect(b':')?;
            item(reader)
        }),
        _ => Err(WireError::ExpectedList),
    }
}

/// Adds to the existing entries: the objects of a repeated `metadata` key are merged, as in the reference.
fn metadata<const V5: bool>(
    reader: &mut Reader<'_, V5>,
    limits: &Limits,
    entries: &mut MetadataBuf,
) -> Result<(), WireError> {
    if reader.peek()? != b'{' {
        return Err(WireError::ExpectedMetadata);
    }
    entries.reserve(reader.rest.len().min(USUAL_METADATA));
    let mut perhaps_repeated = false;
    reader.each(b'{', |reader| {
        let key = reader.text()?;
        if key.len() > limits.key_bytes {
            return Err(WireError::KeyTooLong);
        }
        reader.expect(b':')?;
        perhaps_repeated |= entries.append(&key, &bytes(reader)?);
        Ok(())
    })?;
    if perhaps_repeated {
        entries.settle();
    }
    Ok(())
}

/// A payload is base64 or a list of byte values. In v5 the base64 may contain JSON escapes. Line breaks in it are ignored.
fn payload<const V5: bool>(reader: &mut Reader<'_, V5>) -> Result<Vec<u8>, WireError> {
    let encoded = match reader.peek()? {
        b'"' if V5 => reader.text()?,
        b'"' => match reader.raw_text()? {
            (_, true) => return Err(WireError::Base64),
            (text, false) => Cow::Borrowed(text),
        },
        b'[' => return byte_list(reader),
        _ => return Err(WireError::ExpectedPayload),
    };
    if let Ok(payload) = BASE64.decode(&encoded) {
        return Ok(payload);
    }
    let unbroken: Vec<u8> = encoded.iter().copied().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect();
    BASE64.decode(&unbroken).map_err(|_| WireError::Base64)
}

/// A list of byte values. They are the payload's bytes, not entries: only the length of the whole text limits them.
fn byte_list<const V5: bool>(reader: &mut Reader<'_, V5>) -> Result<Vec<u8>, WireError> {
    let mut bytes = Vec::new();
    reader.each_uncounted(b'[', |reader| {
        bytes.push(byte(reader)?);
        Ok(())
    })?;
    Ok(bytes)
}

fn byte<const V5: bool>(reader: &mut Reader<'_, V5>) -> Result<u8, WireError> {
    u8::try_from(integer(reader)?).map_err(|_| WireError::OutOfRange)
}
