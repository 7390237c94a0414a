//! Decoding a message in one pass, without copying (contract §1.6).

use super::read::{Bytes, Collection, Reader};
use super::repeated;
use super::walk::{Entries, Items, KeyFilter, Lists};
use crate::{
    DecodeError, Field, Limits, MessageRef, MessageType, Metadata, Qos, Spans, Strings, Text, WireError,
};

/// What is read of a message.
const WHOLE: bool = false;
/// Its texts and numbers only: lists and maps are passed over.
const HEAD: bool = true;

impl<'a> MessageRef<'a> {
    /// Decodes a v3 message, as leniently as contract §1.6 asks. Bytes after the message are ignored.
    ///
    /// Takes time proportional to the length. Does not allocate, unless a metadata key occurs twice.
    ///
    /// # Errors
    /// If the bytes are not a message. No length prefix is trusted, and the depth of nesting is limited.
    pub fn decode_v3(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        MessageRef::decode_v3_within(bytes, &Limits::NONE)
    }

    /// Decodes a v3 message of a stranger.
    ///
    /// # Errors
    /// As for [`MessageRef::decode_v3`], and if the message is over one of the limits
    /// ([`WireError::is_limit`]); too many entries are refused before they are read.
    pub fn decode_v3_within(bytes: &'a [u8], limits: &Limits) -> Result<Self, DecodeError> {
        let mut message = MessageRef::default();
        decode::<false, WHOLE>(bytes, &mut message, limits)?;
        Ok(message)
    }

    /// Decodes the texts, numbers and payload of a v3 message, without its headers, metadata, spans and partner ids: what
    /// is to be known of a message that is over its limits, in order to answer it.
    ///
    /// # Errors
    /// As for [`MessageRef::decode_v3`].
    pub fn decode_v3_head(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut message = MessageRef::default();
        decode::<false, HEAD>(bytes, &mut message, &Limits::NONE)?;
        Ok(message)
    }

    /// Decodes a v5 message, strictly, and returns it with the bytes after it.
    ///
    /// # Errors
    /// As for [`MessageRef::decode_v3`].
    pub fn decode_v5(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), DecodeError> {
        let mut message = MessageRef::default();
        let rest = decode::<true, WHOLE>(bytes, &mut message, &Limits::NONE)?;
        Ok((message, rest))
    }
}

/// Fills in `message`, and returns the bytes after it.
fn decode<'a, const V5: bool, const PART: bool>(
    bytes: &'a [u8],
    message: &mut MessageRef<'a>,
    limits: &Limits,
) -> Result<&'a [u8], DecodeError> {
    if u32::try_from(bytes.len()).is_err() {
        return Err(DecodeError { problem: WireError::TooLarge, field: None, offset: 0 });
    }
    let mut decoder = Decoder::<'_, '_, V5, PART> {
        reader: Reader { rest: bytes, entries: limits.entries },
        message,
        limits,
        payloads: 0,
        at: None,
    };
    let decoded = decoder.message().and_then(|()| decoder.check_lengths(bytes.len()));
    decoded.map_err(|problem| DecodeError {
        problem,
        field: decoder.at,
        offset: bytes.len() - decoder.reader.rest.len(),
    })?;
    Ok(decoder.reader.rest)
}

struct Decoder<'m, 'a, const V5: bool, const PART: bool> {
    reader: Reader<'a>,
    message: &'m mut MessageRef<'a>,
    limits: &'m Limits,
    /// The bytes of the payload, and of those that a later one replaced.
    payloads: usize,
    /// The field whose value is being read.
    at: Option<Field>,
}

impl<'a, const V5: bool, const PART: bool> Decoder<'_, 'a, V5, PART> {
    fn message(&mut self) -> Result<(), WireError> {
        match self.reader.collection(WireError::ExpectedMessage)? {
            Collection::Map(pairs) => {
                self.reader.expect_entries(pairs)?;
                (0..pairs).try_for_each(|_| self.pair())
            }
            // Contract §1.6: in v3 an array holds the fields in their order, and nil is an empty message.
            Collection::Array(values) if !V5 => {
                self.reader.expect_entries(values)?;
                self.positional(values)
            }
            Collection::Nil if !V5 => Ok(()),
            _ => Err(WireError::ExpectedMessage),
        }
    }

    /// Checks what only shows when the whole message has been read.
    fn check_lengths(&mut self, length: usize) -> Result<(), WireError> {
        self.at = None;
        if length - self.reader.rest.len() - self.payloads > self.limits.field_bytes {
            return Err(WireError::FieldsTooLong);
        }
        for (field, id) in [
            (Field::TransactionUuid, self.message.transaction_uuid),
            (Field::SessionId, self.message.session_id),
        ] {
            if id.len() > self.limits.id_bytes {
                self.at = Some(field);
                return Err(WireError::IdTooLong);
            }
        }
        Ok(())
    }

    fn pair(&mut self) -> Result<(), WireError> {
        self.at = None;
        let key = self.key()?;
        match Field::from_key(key) {
            Some(field) => {
                self.at = Some(field);
                self.value(field)
            }
            None => self.reader.skip(),
        }
    }

    /// A key is a str or a bin; in v3 nil is the empty key.
    #[inline]
    fn key(&mut self) -> Result<&'a [u8], WireError> {
        match self.reader.rest.first() {
            Some(0xa0..=0xbf) => Ok(self.reader.str()?.bytes),
            Some(0xc4..=0xc6) => self.reader.bin(),
            Some(0xc0) if !V5 => Ok(self.reader.str_or_bin()?.bytes),
            _ => Ok(self.reader.str()?.bytes),
        }
    }

    #[cold]
    fn positional(&mut self, values: usize) -> Result<(), WireError> {
        let mut fields = Field::ALL.into_iter();
        (0..values).try_for_each(|_| {
            self.at = fields.next();
            match self.at {
                Some(field) => self.value(field),
                None => self.reader.skip(),
            }
        })
    }

    #[inline]
    fn value(&mut self, field: Field) -> Result<(), WireError> {
        match field {
            Field::Headers | Field::Metadata | Field::Spans | Field::PartnerIds if PART == HEAD => {
                self.reader.skip()?;
            }
            Field::MsgType => self.message.msg_type = MessageType(self.integer()?),
            Field::Source => self.message.source = self.text()?,
            Field::Dest => self.message.dest = self.text()?,
            Field::TransactionUuid => self.message.transaction_uuid = self.text()?,
            Field::ContentType => self.message.content_type = self.text()?,
            Field::Accept => self.message.accept = self.text()?,
            Field::Status => self.message.status = self.optional_integer()?,
            Field::Rdr => self.message.rdr = self.optional_integer()?,
            Field::Headers => self.message.headers = self.strings()?,
            Field::Metadata => self.message.metadata = self.metadata()?,
            Field::Spans if V5 => self.reader.skip()?,
            Field::Spans => self.message.spans = self.spans()?,
            Field::IncludeSpans if V5 => self.reader.skip()?,
            Field::IncludeSpans => {
                self.message.include_spans =
                    if self.reader.nil() { None } else { Some(self.reader.boolean()?) };
            }
            Field::Path => self.message.path = self.text()?,
            Field::Payload => self.message.payload = self.payload()?,
            Field::ServiceName => self.message.service_name = self.text()?,
            Field::Url => self.message.url = self.text()?,
            Field::PartnerIds => self.message.partner_ids = self.strings()?,
            Field::SessionId => self.message.session_id = self.text()?,
            Field::Qos => self.message.qos = Qos(self.integer()?),
        }
        Ok(())
    }

    #[inline]
    fn bytes(&mut self) -> Result<Bytes<'a>, WireError> {
        if V5 { self.reader.str() } else { self.reader.str_or_bin() }
    }

    #[inline]
    fn text(&mut self) -> Result<Text<'a>, WireError> {
        Ok(Text::new(self.bytes()?.bytes))
    }

    fn integer(&mut self) -> Result<i64, WireError> {
        if V5 {
            self.reader.integer::<false>()
        } else if self.reader.nil() {
            Ok(0)
        } else {
            self.reader.integer::<true>()
        }
    }

    fn optional_integer(&mut self) -> Result<Option<i64>, WireError> {
        if self.reader.nil() { Ok(None) } else { self.integer().map(Some) }
    }

    /// In v5 an empty payload is an absent one.
    fn payload(&mut self) -> Result<Option<&'a [u8]>, WireError> {
        if V5 {
            let payload = self.reader.bin()?;
            self.payloads += payload.len();
            return Ok((!payload.is_empty()).then_some(payload));
        }
        if self.reader.nil() {
            return Ok(None);
        }
        let payload = self.reader.str_or_bin()?.bytes;
        self.payloads += payload.len();
        Ok(Some(payload))
    }

    /// In v5 an empty list is an absent one.
    fn strings(&mut self) -> Result<Option<Strings<'a>>, WireError> {
        Ok(match self.list_header()? {
            None => None,
            Some(0) if V5 => None,
            Some(count) => Some(Strings::wire(self.items(count)?)),
        })
    }

    fn items(&mut self, count: usize) -> Result<Items<'a>, WireError> {
        let start = self.reader.rest;
        let mut canonical = true;
        for _ in 0..count {
            canonical &= self.bytes()?.canonical;
        }
        Ok(Items { count, bytes: self.since(start), canonical })
    }

    fn spans(&mut self) -> Result<Option<Spans<'a>>, WireError> {
        let Some(count) = self.list_header()? else { return Ok(None) };
        let start = self.reader.rest;
        for _ in 0..count {
            let texts = self.list_header()?.unwrap_or(0);
            self.items(texts)?;
        }
        Ok(Some(Spans::wire(Lists { count, bytes: self.since(start) })))
    }

    /// Reads a list's header: the number of its values, or `None` for nil. In v3 a map is the list of its keys and values.
    fn list_header(&mut self) -> Result<Option<usize>, WireError> {
        let count = match self.reader.collection(WireError::ExpectedList)? {
            Collection::Array(count) => count,
            Collection::Map(pairs) if !V5 => pairs.saturating_mul(2),
            Collection::Nil if !V5 => return Ok(None),
            _ => return Err(WireError::ExpectedList),
        };
        if count > self.reader.rest.len() {
            return Err(WireError::Truncated);
        }
        self.reader.expect_entries(count)?;
        Ok(Some(count))
    }

    fn metadata(&mut self) -> Result<Option<Metadata<'a>>, WireError> {
        let count = match self.reader.collection(WireError::ExpectedMetadata)? {
            Collection::Map(count) => count,
            Collection::Nil if !V5 => return Ok(None),
            _ => return Err(WireError::ExpectedMetadata),
        };
        self.reader.expect_entries(count)?;
        let start = self.reader.rest;
        let mut canonical = true;
        let mut keys = KeyFilter::default();
        let mut perhaps_repeated = false;
        let mut longest = 0;
        for _ in 0..count {
            let key = self.bytes()?;
            let value = self.bytes()?;
            canonical &= key.canonical & value.canonical;
            perhaps_repeated |= keys.insert(key.bytes);
            longest = key.bytes.len().max(longest);
        }
        if longest > self.limits.key_bytes {
            return Err(WireError::KeyTooLong);
        }
        let bytes = self.since(start);
        let overridden = if perhaps_repeated { repeated::overridden(bytes, count) } else { None };
        Ok(Some(Metadata::wire(Entries { count, bytes, canonical, keys, overridden })))
    }

    /// The bytes that were read since `start`, which was the reader's rest at that time.
    fn since(&self, start: &'a [u8]) -> &'a [u8] {
        &start[..start.len() - self.reader.rest.len()]
    }
}
