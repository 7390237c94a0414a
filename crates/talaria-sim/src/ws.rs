//! The client's side of a WebSocket (RFC 6455), no more of it than a simulated device needs.
//!
//! Sans-IO: bytes in, frames out, so that the tests need no socket. Small on purpose: ten thousand of these share a
//! process, and what they cost must not show beside the gateway that they measure. There are no extensions and no TLS.

mod frame;
mod handshake;

pub use frame::{Decoder, Frame, FrameError, Opcode, encode};
pub use handshake::{Answer, HandshakeError, Request};
