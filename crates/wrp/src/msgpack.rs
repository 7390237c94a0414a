//! The msgpack codec: decoding that borrows, encoding that writes once.
//!
//! Both protocol versions share it. [`Version`] says how lenient a decoder is and what an encoder leaves out.

pub(crate) mod walk;
