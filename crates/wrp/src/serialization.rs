//! `Serialize` and `Deserialize` of serde, for programs that keep messages in their own formats.
//!
//! A message is a map with the keys of WRP v3; absent fields and empty texts are left out, unknown keys are passed over. In
//! formats for humans (JSON) the payload is base64 and bytes that are not UTF-8 become U+FFFD; in others both stay bytes.
//! This is not the codec: the reference's spelling of numbers and its leniency are in `msgpack` and `json`,
//! which are also faster.

mod message;
mod names;
mod texts;
