//! The msgpack codec, as methods of [`MessageRef`](crate::MessageRef): decoding borrows, encoding writes each byte once.
//!
//! v3 and v5 differ in how lenient the decoder is (contract §1.6) and in which fields the encoder leaves out
//! (contract §1.1). A constant parameter `V5` selects the version, so that the compiler makes a function for each.
//!
//! `read.rs` reads values that may be wrong; `write.rs` writes values; `walk.rs` goes over lists and maps that were read once and are known to be
//! right. This is not a general msgpack library.

mod decode;
mod encode;
mod headers;
mod read;
pub(crate) mod repeated;
pub(crate) mod walk;
pub(crate) mod write;
