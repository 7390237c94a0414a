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

    /// The id that is this KSUID: its bytes as a number to the base of 62 (<https://github.com/segmentio/ksuid>).
    ///
    /// ```
    /// # use talaria_protocol::connect::SessionId;
    /// assert_eq!(SessionId::of_ksuid(&[0xff; 20]).as_str(), "aWgEPTl1tmebfsQzFP4bxwgy80V");
    /// assert_eq!(SessionId::of_ksuid(&[0; 20]).as_str(), "000000000000000000000000000");
    /// ```
    #[must_use]
    pub fn of_ksuid(ksuid: &[u8; 20]) -> Self {
        const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        /// As many digits as one division can give.
        const DIGITS_AT_ONCE: usize = 5;
        const DIVISOR: u64 = 62_u64.pow(5);

        let mut number = [0_u64; 5];
        for (part, bytes) in number.iter_mut().zip(ksuid.chunks_exact(4)) {
            *part = bytes.iter().fold(0, |part, byte| part << 8 | u64::from(*byte));
        }
        let mut text = [0; KSUID_LENGTH];
        for digits in text.rchunks_mut(DIGITS_AT_ONCE) {
            let mut rest = 0;
            for part in &mut number {
                let dividend = rest << 32 | *part;
                (*part, rest) = (dividend / DIVISOR, dividend % DIVISOR);
            }
            for digit in digits.iter_mut().rev() {
                *digit = DIGITS[(rest % 62) as usize];
                rest /= 62;
            }
        }
        Self(text)
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
