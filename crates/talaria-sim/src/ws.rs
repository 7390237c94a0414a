//! The client's side of the WebSocket protocol (RFC 6455), as far as a simulated device needs it.
//!
//! It has no I/O: it turns bytes into frames and frames into bytes. It has no extensions and no TLS. It is small because ten
//! thousand devices share a process, whose costs must be low compared with those of the gateway on the same machine.

mod frame;
mod handshake;

pub use frame::{Decoder, Frame, FrameError, Opcode, encode};
pub use handshake::{Answer, HandshakeError, Request};
