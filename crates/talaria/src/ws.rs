//! A WebSocket server's side of RFC 6455, without any I/O: bytes in, frames out.
//!
//! [`Decoder`] finds the messages and control frames in what a client sent, wherever the reads happened to cut it,
//! and refuses what the RFC forbids. [`frame`] writes the server's frames. [`handshake`] checks an upgrade request.
//! Whoever owns the socket reads, writes and keeps the time.
//!
//! Deliberately absent: extensions (none is ever negotiated), the client's side, and text messages' content (a
//! gateway only counts them).

pub mod decode;
pub mod frame;
pub mod handshake;
mod mask;

pub use decode::{Decoder, Input, Item, Limits};
pub use frame::{CloseCode, Opcode, Violation};
