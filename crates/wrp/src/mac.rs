//! MAC addresses: hex digits, among which `:`, `-`, `.` and `,` may stand anywhere.

/// How many hex digits there are.
///
/// # Errors
/// Returns the first byte that is neither a digit nor a separator.
pub(crate) fn digits(address: &str) -> Result<usize, u8> {
    address.bytes().try_fold(0, |digits, byte| match byte {
        b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F' => Ok(digits + 1),
        b':' | b'-' | b'.' | b',' => Ok(digits),
        other => Err(other),
    })
}

/// The digits alone, in lower case.
pub(crate) fn canonical(address: &str) -> String {
    canonical_bytes(address).map(char::from).collect()
}

/// Whether it is as [`canonical`] makes it.
pub(crate) fn is_canonical(address: &str) -> bool {
    address.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// The digits alone, in lower case, one by one.
pub(crate) fn canonical_bytes(address: &str) -> impl Iterator<Item = u8> {
    address.bytes().filter(u8::is_ascii_hexdigit).map(|digit| digit.to_ascii_lowercase())
}
