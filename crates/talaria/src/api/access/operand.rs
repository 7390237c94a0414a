//! The values that checks compare, with the types of the Go gateway. There, equal values have the same type, and the same
//! messages must pass here (contract §3.9).

use serde_json::Value;
use wrp::{Field, MessageRef, Strings, Text};

use talaria_protocol::go::cast::{float_to_int, text_to_int};

/// A value to compare.
#[derive(Clone, Debug, PartialEq)]
pub enum Operand {
    /// A boolean.
    Bool(bool),
    /// A whole number of the configuration or of a message. The numbers of a token are all floats.
    Int(i64),
    /// A number of a token, or a number with a fraction.
    Float(f64),
    /// A text. The texts of messages need not be UTF-8.
    Text(Box<[u8]>),
    /// A list of a token or of the configuration.
    List(Vec<Self>),
    /// A message's list of texts. It is never equal to a [`List`](Operand::List), but may have items in common with one.
    Texts(Vec<Self>),
    /// An object, which can only be tested for equality.
    Object(Vec<(Box<str>, Self)>),
    /// A value that is equal to nothing: a map of a message, a number that may be absent.
    Opaque,
}

impl Operand {
    /// A message's value of this field. An absent list counts as empty, as in Go. Metadata, spans and payload cannot be
    /// compared.
    #[must_use]
    pub fn of_field(field: Field, message: &MessageRef<'_>) -> Self {
        let text = |text: Text<'_>| Self::Text(text.as_bytes().into());
        let texts = |texts: Option<&Strings<'_>>| {
            Self::Texts(texts.into_iter().flat_map(Strings::iter).map(text).collect())
        };
        let number = |number: Option<i64>| number.map_or(Self::Opaque, Operand::Int);
        match field {
            Field::MsgType => Self::Int(message.msg_type.0),
            Field::Source => text(message.source),
            Field::Dest => text(message.dest),
            Field::TransactionUuid => text(message.transaction_uuid),
            Field::ContentType => text(message.content_type),
            Field::Accept => text(message.accept),
            Field::Status => number(message.status),
            Field::Rdr => number(message.rdr),
            Field::Headers => texts(message.headers.as_ref()),
            Field::Metadata | Field::Spans | Field::IncludeSpans | Field::Payload => Self::Opaque,
            Field::Path => text(message.path),
            Field::ServiceName => text(message.service_name),
            Field::Url => text(message.url),
            Field::PartnerIds => texts(message.partner_ids.as_ref()),
            Field::SessionId => text(message.session_id),
            Field::Qos => Self::Int(message.qos.0),
        }
    }

    /// A value of a token as Go reads JSON.
    #[must_use]
    pub fn from_claim(value: &Value) -> Self {
        match value {
            Value::Null => Self::Opaque,
            Value::Bool(value) => Self::Bool(*value),
            Value::Number(number) => Self::Float(number.as_f64().unwrap_or(f64::NAN)),
            Value::String(text) => Self::Text(text.as_bytes().into()),
            Value::Array(items) => Self::List(items.iter().map(Self::from_claim).collect()),
            Value::Object(object) => Self::Object(
                object.iter().map(|(key, value)| (key.as_str().into(), Self::from_claim(value))).collect(),
            ),
        }
    }

    /// Whether both have the same type and value (`reflect.DeepEqual`).
    #[must_use]
    pub fn equals(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Opaque, _) | (_, Self::Opaque) => false,
            (Self::Object(these), Self::Object(those)) => {
                let has = |key: &str, value: &Self| {
                    those.iter().any(|(other, theirs)| **other == *key && theirs.equals(value))
                };
                these.len() == those.len() && these.iter().all(|(key, value)| has(key, value))
            }
            (Self::List(these), Self::List(those)) | (Self::Texts(these), Self::Texts(those)) => {
                these.len() == those.len() && these.iter().zip(those).all(|(this, that)| this.equals(that))
            }
            _ => self == other,
        }
    }

    /// The items of a list.
    #[must_use]
    pub fn items(&self) -> Option<&[Self]> {
        match self {
            Self::List(items) | Self::Texts(items) => Some(items),
            _ => None,
        }
    }

    /// The value as a whole number (`cast.ToInt64E`), if it can be converted.
    #[must_use]
    pub fn to_int(&self) -> Option<i64> {
        match self {
            Self::Bool(value) => Some(i64::from(*value)),
            Self::Int(value) => Some(*value),
            Self::Float(value) => Some(float_to_int(*value)),
            Self::Text(text) => text_to_int(std::str::from_utf8(text).ok()?),
            Self::List(_) | Self::Texts(_) | Self::Object(_) | Self::Opaque => None,
        }
    }
}
