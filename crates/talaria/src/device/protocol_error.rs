use crate::ws::Violation;
use crate::ws::frame::HeaderFault;

/// How a device abuses its connection, which ends it: the label `reason` of `device_protocol_errors_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProtocolError {
    /// A frame without a mask.
    Unmasked,
    /// A frame with a reserved bit.
    ReservedBits,
    /// A frame with an opcode that has no meaning.
    BadOpcode,
    /// A continuation of nothing, or a message within another.
    BadFragment,
    /// A control frame that is long or fragmented.
    BadControl,
    /// A close frame with a code or a reason that may not be sent.
    BadClose,
    /// A message over its limit.
    TooBig,
    /// A piece of a long message when there was no room left for unfinished ones.
    NoRoom,
}

impl ProtocolError {
    /// All of them, each at the place of its number.
    pub const ALL: [ProtocolError; 8] = [
        ProtocolError::Unmasked,
        ProtocolError::ReservedBits,
        ProtocolError::BadOpcode,
        ProtocolError::BadFragment,
        ProtocolError::BadControl,
        ProtocolError::BadClose,
        ProtocolError::TooBig,
        ProtocolError::NoRoom,
    ];

    /// The label.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            ProtocolError::Unmasked => "unmasked",
            ProtocolError::ReservedBits => "reserved_bits",
            ProtocolError::BadOpcode => "bad_opcode",
            ProtocolError::BadFragment => "bad_fragment",
            ProtocolError::BadControl => "bad_control",
            ProtocolError::BadClose => "bad_close",
            ProtocolError::TooBig => "too_big",
            ProtocolError::NoRoom => "no_room",
        }
    }
}

impl From<&Violation> for ProtocolError {
    fn from(violation: &Violation) -> Self {
        match violation {
            Violation::Header { first, .. } => match first {
                HeaderFault::ReservedBits => ProtocolError::ReservedBits,
                HeaderFault::Opcode => ProtocolError::BadOpcode,
                HeaderFault::Fragment => ProtocolError::BadFragment,
                HeaderFault::Control => ProtocolError::BadControl,
                HeaderFault::Unmasked => ProtocolError::Unmasked,
            },
            Violation::CloseCode(_) | Violation::ClosePayload | Violation::CloseReason => {
                ProtocolError::BadClose
            }
            Violation::TooBig { .. } => ProtocolError::TooBig,
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
