//! The integration tests of `wrp`, as one binary.
//!
//! `vectors_*` hold the contract's vectors, `properties` what must be true for any message and any bytes, `allocation` how
//! much memory decoding may take, `limits` which messages are refused.

#![expect(clippy::unwrap_used, reason = "the tests' helpers fail the test")]

mod allocation;
mod limits;
mod properties;
#[cfg(feature = "serde")]
mod serialization;
mod vectors_json;
mod vectors_msgpack;
mod vectors_names;
