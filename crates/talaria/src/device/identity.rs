use std::fmt;

use svix_ksuid::{Ksuid, KsuidLike as _};
use wrp::{DeviceId, TextBuf};

use super::{Claims, Convey};

/// Length of a KSUID's text.
const KSUID_LENGTH: usize = 27;

/// Who connects, as far as it is known before the session begins (contract §2.4 to 2.6).
#[derive(Clone, Debug)]
pub struct Identity {
    /// What the device is registered and addressed by.
    pub id: DeviceId,
    /// The connection's own id.
    pub session_id: SessionId,
    /// What the device's token says, if it brought one.
    pub claims: Option<Claims>,
    /// What the device says of itself.
    pub convey: Convey,
    /// The header `X-Intermediate-Context`; empty if there was none.
    pub intermediate_context: TextBuf,
}

impl Identity {
    /// A device that brings nothing but its id: no token, no convey. With a new session id.
    #[must_use]
    pub fn new(id: DeviceId) -> Identity {
        Identity {
            id,
            session_id: SessionId::random(),
            claims: None,
            convey: Convey::from_header(None),
            intermediate_context: TextBuf::default(),
        }
    }
}

/// The id of one connection: a KSUID, 27 characters of text.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionId([u8; KSUID_LENGTH]);

impl SessionId {
    /// A new one.
    #[must_use]
    pub fn random() -> SessionId {
        let mut id = [b'0'; KSUID_LENGTH];
        let text = Ksuid::now(None).to_string();
        for (place, byte) in id.iter_mut().zip(text.bytes()) {
            *place = byte;
        }
        SessionId(id)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // A KSUID is base 62: ASCII.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
