//! The header `tracestate`: a list of what tracing systems add to a trace, which is passed on as it came.

use std::sync::Arc;

/// The longest `tracestate` that is passed on, in bytes: what the specification asks for at least. Of a longer one
/// the members at its end are left out.
pub const MAX_STATE_BYTES: usize = 512;

/// As many members a `tracestate` may have.
const MAX_MEMBERS: usize = 32;

/// The longest key and the longest value.
const MAX_PART: usize = 256;

/// A checked `tracestate`. Without one it takes no memory of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TraceState(Option<Arc<str>>);

impl TraceState {
    /// Reads the values of all headers, which together are one list. It is empty if a member is malformed or there are too many.
    pub fn read<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut list = String::new();
        let mut count = 0;
        let mut is_full = false;
        for member in values.into_iter().flat_map(|value| value.split(|byte| *byte == b',')) {
            let member = member.trim_ascii();
            // Empty members are allowed.
            if member.is_empty() {
                continue;
            }
            count += 1;
            let Some(member) = checked(member).filter(|_| count <= MAX_MEMBERS) else {
                return Self::default();
            };
            is_full |= list.len() + member.len() + 1 > MAX_STATE_BYTES;
            if !is_full {
                if !list.is_empty() {
                    list.push(',');
                }
                list.push_str(member);
            }
        }
        Self((!list.is_empty()).then(|| list.into()))
    }

    /// The value of the header; none if there is nothing to be sent.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        self.0.as_deref()
    }
}

/// A member `key=value` as text, if it is well-formed.
fn checked(member: &[u8]) -> Option<&str> {
    let at = member.iter().position(|byte| *byte == b'=')?;
    let (key, value) = (&member[..at], &member[at + 1..]);
    let is_key_byte =
        |byte: &u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'*' | b'/' | b'@');
    let is_value_byte = |byte: &u8| matches!(byte, 0x20..=0x7e) && !matches!(byte, b',' | b'=');
    let is_key = matches!(key.first(), Some(b'a'..=b'z' | b'0'..=b'9'))
        && key.len() <= MAX_PART
        && key.iter().all(is_key_byte);
    let is_value = !value.is_empty() && value.len() <= MAX_PART && value.iter().all(is_value_byte);
    if is_key && is_value { std::str::from_utf8(member).ok() } else { None }
}
