//! The Web Routing Protocol (WRP): messages in two versions and two formats, and the names of their senders and
//! receivers. The behaviour is contract §1 and §15.
//!
//! ```
//! use wrp::{Message, Qos};
//!
//! let request = Message::request("dns:tr1d1um.example.com", "mac:112233445566/config", "6b3b1c4e")
//!     .with_payload("application/json", br#"{"command":"GET","names":["Device.Info"]}"#)
//!     .with_partner_ids(["comcast"])
//!     .with_qos(Qos(30));
//! let frame = request.encode();
//!
//! // The other side answers.
//! let request = Message::decode(&frame)?;
//! let response = request.response().with_status(200).with_payload("application/json", *b"{}");
//! assert_eq!(response.dest, "dns:tr1d1um.example.com");
//! # Ok::<(), wrp::DecodeError>(())
//! ```
//!
//! - [`Message`] owns its fields; [`MessageRef`] borrows from the bytes that it was decoded from.
//! - [`MessageRef::decode_v3`] and [`MessageRef::encode_v3`] are the msgpack of devices and event receivers, `…_v5` that
//!   of Kafka records. The module `json` is the JSON of the REST API.
//! - [`DeviceId`] is what a device registers as; [`Locator`] is what `source` and `dest` hold.
//! - [`Qos`] is how important a message is, [`Rdr`] the result of its delivery.
//!
//! The crate has no I/O, no clock and no async code, needs `alloc` only, and builds for `wasm32-unknown-unknown`. It does not
//! route messages and does not check them beyond their encoding: that is the gateway's work.
//!
//! Features: `std` and `json` are on by default; `serde` adds `Serialize` and `Deserialize`.
//!
//! Start at `message_ref.rs` for the messages, then `msgpack/decode.rs` and `msgpack/encode.rs` for the bytes.

#![no_std]

extern crate alloc;
#[cfg(any(feature = "std", test))]
extern crate std;

mod device_id;
mod error;
mod field;
mod format;
#[cfg(feature = "json")]
pub mod json;
mod limits;
mod locator;
mod mac;
mod message;
mod message_ref;
mod message_type;
mod metadata;
mod metadata_buf;
mod msgpack;
mod overlay;
mod qos;
mod rdr;
mod scheme;
#[cfg(feature = "serde")]
mod serialization;
mod spans;
mod strings;
mod strings_buf;
mod text;

pub use device_id::{DeviceId, DeviceIdError, DeviceNameError};
pub use error::{DecodeError, NotUtf8Error, WireError};
pub use field::Field;
pub use format::{ContentTypeError, Format, OCTET_STREAM};
pub use limits::Limits;
pub use locator::{Locator, LocatorError, event_type};
pub use message::Message;
pub use message_ref::MessageRef;
pub use message_type::MessageType;
pub use metadata::{Metadata, MetadataIter};
pub use metadata_buf::MetadataBuf;
pub use qos::{Qos, QosLevel};
pub use rdr::Rdr;
pub use scheme::{Scheme, SchemeError};
pub use spans::{Spans, SpansIter};
pub use strings::{Strings, StringsIter};
pub use strings_buf::StringsBuf;
pub use text::{Text, TextBuf};

/// Makes the examples in the README doc tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
