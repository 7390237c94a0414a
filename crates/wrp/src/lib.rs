//! The Web Routing Protocol: its messages, in two versions and two formats, and the names that its senders and
//! receivers go by.
//!
//! - [`MessageRef`] is a message that borrows from the bytes it was decoded from; [`Message`] owns what it holds.
//! - [`MessageRef::decode_v3`] and [`MessageRef::encode_v3`] speak msgpack as devices do, `…_v5` as Kafka's records do,
//!   and [`json`] as the REST API may.
//! - [`DeviceId`] is what a device is registered and addressed by; [`Locator`] is what `source` and `dest` hold.
//! - [`Qos`] and [`Rdr`] are how much a message matters and what became of it.
//!
//! There is no I/O here, nothing asynchronous, and no allocation where a borrow does.

mod device_id;
mod error;
mod field;
mod format;
pub mod json;
mod locator;
mod mac;
mod message;
mod message_ref;
mod message_type;
mod metadata;
mod msgpack;
mod overlay;
mod qos;
mod rdr;
mod scheme;
mod spans;
mod strings;
mod text;

pub use device_id::{DeviceId, DeviceIdError, InvalidDeviceId};
pub use error::{DecodeError, NotUtf8, Problem};
pub use field::Field;
pub use format::{Format, OCTET_STREAM, UnknownContentType};
pub use locator::{Locator, LocatorError, event_type};
pub use message::Message;
pub use message_ref::MessageRef;
pub use message_type::MessageType;
pub use metadata::{Metadata, MetadataIter};
pub use qos::{Qos, QosLevel};
pub use rdr::Rdr;
pub use scheme::Scheme;
pub use spans::{Spans, SpansIter};
pub use strings::{Strings, StringsIter};
pub use text::{Text, TextBuf};

/// The examples of the README are tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
