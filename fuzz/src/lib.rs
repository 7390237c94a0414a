//! What the fuzzers run, and what must hold for any bytes whatever.
//!
//! Each module is one target: `cargo fuzz run websocket` calls [`websocket::run`], and so on. `just fuzz` runs all of
//! them on the stable toolchain, as CI does. A finding becomes a named file in `corpus/`, which every later run replays,
//! and a test beside the code that it was found in.
//!
//! The parsers of the gateway know no I/O, so they are compiled here by themselves: `src/ws`, `src/device` and `src/auth`
//! are symbolic links into `crates/talaria/src`. The whole gateway would bring librdkafka and OpenSSL, whose build with
//! the fuzzer's flags takes CI five minutes. That this compiles is also a proof that those modules know no socket.

pub mod auth;
pub mod device;
pub mod ws;

pub mod allocation;
pub mod handshake;
pub mod jwt;
pub mod locator;
pub mod message;
pub mod websocket;
