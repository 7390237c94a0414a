//! The msgpack codec: decoding that borrows, encoding that writes once.
//!
//! Both protocol versions share it. They differ in how lenient the decoder is and in what the encoder leaves out
//! (contract §1.2, §1.6), which a constant parameter says, so that each is compiled on its own.

mod decode;
mod encode;
mod read;
pub(crate) mod walk;

pub(crate) use decode::{decode_v3, decode_v5};
pub(crate) use encode::{encode_v3, encode_v5};
