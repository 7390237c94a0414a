//! Who a device is, as far as it is known when it connects.
//!
//! Session ids are made by the gateway: they need a clock and random bytes.

use std::fmt;
use std::net::IpAddr;

use wrp::{DeviceId, TextBuf};

use crate::claims::Claims;
use crate::convey::Convey;

/// The length of a KSUID's text.
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
    /// The client's address, if it is known.
    pub client: Option<IpAddr>,
}

impl Identity {
    /// A device that says nothing but its id: no token, no convey.
    #[must_use]
    pub fn new(id: DeviceId, session_id: SessionId) -> Self {
        Self {
            id,
            session_id,
            claims: None,
            convey: Convey::from_header(None),
            intermediate_context: TextBuf::default(),
            client: None,
        }
    }
}

/// The id of one connection: a KSUID, 27 characters of text.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionId([u8; KSUID_LENGTH]);

impl SessionId {
    /// The id with this text; `None` if it is not 27 letters and digits.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let text: [u8; KSUID_LENGTH] = text.as_bytes().try_into().ok()?;
        text.iter().all(u8::is_ascii_alphanumeric).then_some(Self(text))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Letters and digits only.
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
