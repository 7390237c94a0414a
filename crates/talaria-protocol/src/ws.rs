//! A WebSocket server's side of RFC 6455, without any I/O: bytes in, frames out.
//!
//! [`Decoder`] finds the messages and control frames in the bytes of a client, wherever the reads cut them, and rejects
//! what the RFC forbids. [`frame`] writes the server's frames. [`handshake`] checks an upgrade request. The owner of the
//! socket reads, writes and keeps the time.
//!
//! Deliberately absent: extensions (none is ever negotiated), the client's side, and the content of text messages (the
//! gateway only counts them).

pub mod decode;
pub mod frame;
pub mod handshake;
mod mask;

pub use decode::{Decoder, Input, Item, Limits, Payload};
pub use frame::{CloseCode, FrameError, Opcode};
