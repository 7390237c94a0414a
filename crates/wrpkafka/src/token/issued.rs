//! An access token as a token server has issued it.

use std::ffi::CString;

/// An access token and what librdkafka asks of it.
pub(crate) struct Token {
    pub(crate) value: CString,
    /// Whom it is for: the client's id.
    pub(crate) principal: CString,
    /// The time of its end in milliseconds since 1970.
    pub(crate) expires_at: i64,
    /// Names and values in turn.
    pub(crate) extensions: Vec<CString>,
}
