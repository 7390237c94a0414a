//! How a device breaks the protocol, as metrics count it.
//!
//! The texts that a device is sent are those of [`FrameError`].

use crate::ws::FrameError;
use crate::ws::frame::HeaderFault;

/// How a device broke the protocol, which ended its connection: the label `reason` of `device_protocol_errors_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProtocolError {
    /// A frame without a mask.
    Unmasked,
    /// A frame with a reserved bit.
    ReservedBits,
    /// A frame with an opcode that has no meaning.
    BadOpcode,
    /// A continuation without a first fragment, or a new message before the end of the last one.
    BadFragment,
    /// A control frame that is long or fragmented.
    BadControl,
    /// A close frame with a code or a reason that may not be sent.
    BadClose,
    /// A message over its limit.
    TooBig,
    /// The largest of the unfinished messages when all of them together had reached their limit.
    NoRoom,
    /// A message that did not arrive completely in time.
    SlowMessage,
    /// Most of the messages that wait to be read when all of them together had reached their limit.
    Unread,
    /// More messages than the rate of the device allows, for too long.
    Flooding,
}

impl ProtocolError {
    /// All of them, each at the place of its number.
    pub const ALL: [Self; 11] = [
        Self::Unmasked,
        Self::ReservedBits,
        Self::BadOpcode,
        Self::BadFragment,
        Self::BadControl,
        Self::BadClose,
        Self::TooBig,
        Self::NoRoom,
        Self::SlowMessage,
        Self::Unread,
        Self::Flooding,
    ];

    /// The label.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unmasked => "unmasked",
            Self::ReservedBits => "reserved_bits",
            Self::BadOpcode => "bad_opcode",
            Self::BadFragment => "bad_fragment",
            Self::BadControl => "bad_control",
            Self::BadClose => "bad_close",
            Self::TooBig => "too_big",
            Self::NoRoom => "no_room",
            Self::SlowMessage => "slow_message",
            Self::Unread => "unread",
            Self::Flooding => "flooding",
        }
    }
}

impl From<&FrameError> for ProtocolError {
    fn from(error: &FrameError) -> Self {
        match error {
            FrameError::Header { first, .. } => match first {
                HeaderFault::ReservedBits => Self::ReservedBits,
                HeaderFault::Opcode => Self::BadOpcode,
                HeaderFault::Fragment => Self::BadFragment,
                HeaderFault::Control => Self::BadControl,
                HeaderFault::Unmasked => Self::Unmasked,
            },
            FrameError::CloseCode(_) | FrameError::ClosePayload | FrameError::CloseReason => Self::BadClose,
            FrameError::TooBig { .. } => Self::TooBig,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_has_every_error_at_its_own_place() {
        for (index, error) in ProtocolError::ALL.into_iter().enumerate() {
            assert_eq!(error as usize, index, "{}", error.as_str());
        }
    }
}
