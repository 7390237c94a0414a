//! What a message may hold beside its payload, for those who decode messages of strangers.

/// The limits of one message.
///
/// The length of a whole message, and so of its payload, is for the transport to limit. What these limits bound is the
/// work: a payload is passed over and copied, but every entry is read, and the texts are checked and parsed. The
/// defaults are far above what devices send.
///
/// ```
/// use wrp::{Limits, MessageRef, WireError};
///
/// let frame = b"\x82\xa8msg_type\x04\xa7headers\x93\xa0\xa0\xa0";
/// let few = Limits { entries: 4, ..Limits::default() };
/// assert_eq!(MessageRef::decode_v3_within(frame, &few).unwrap_err().problem, WireError::TooManyEntries);
/// assert!(MessageRef::decode_v3_within(frame, &Limits::default()).is_ok());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The entries of all maps and the items of all lists together: fields, metadata, headers, partner ids, spans, and
    /// whatever stands under unknown keys. 4,096 by default.
    pub entries: usize,
    /// The bytes of one key of the metadata. 1,024 by default.
    pub key_bytes: usize,
    /// The bytes of `transaction_uuid` and of `session_id`. 256 by default.
    pub id_bytes: usize,
    /// The bytes of the whole message without its payload. 64 KiB by default.
    pub field_bytes: usize,
}

impl Limits {
    /// No limits: for messages that the program itself made.
    pub const NONE: Self =
        Self { entries: usize::MAX, key_bytes: usize::MAX, id_bytes: usize::MAX, field_bytes: usize::MAX };
}

impl Default for Limits {
    fn default() -> Self {
        Self { entries: 4096, key_bytes: 1024, id_bytes: 256, field_bytes: 64 * 1024 }
    }
}
