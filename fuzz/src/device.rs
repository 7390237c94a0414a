//! As much of the gateway's module `device` as knows no sockets; each file is a link to the gateway's.
#![expect(dead_code, reason = "the gateway's other modules use what is not used here")]

pub mod claims;
mod config;
pub mod convey;
pub mod handshake;
mod identity;
pub mod inbound;
mod protocol_error;
pub mod reason;
pub mod session {
    //! The session's state machine, without the task that drives it.
    mod state;
    pub use state::{Ending, Farewell, Session, Step};
}

pub use claims::Claims;
pub use config::{Config, SourceCheck};
pub use convey::{Compliance, Convey};
pub use identity::{Identity, SessionId};
pub use protocol_error::ProtocolError;
pub use reason::{CloseReason, Reason};
