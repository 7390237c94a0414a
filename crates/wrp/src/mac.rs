//! MAC addresses: hex digits, with the separators `:`, `-`, `.` and `,` anywhere among them (contract §1.10).
//!
//! How many digits an address must have depends on where it is used, so the callers check it.

use alloc::string::String;

/// Counts the hex digits.
///
/// # Errors
/// Returns the first byte that is neither a hex digit nor a separator.
pub(crate) fn digits(address: &str) -> Result<usize, u8> {
    address.bytes().try_fold(0, |digits, byte| match byte {
        b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F' => Ok(digits + 1),
        b':' | b'-' | b'.' | b',' => Ok(digits),
        other => Err(other),
    })
}

/// The hex digits in lower case, without separators.
pub(crate) fn canonical(address: &str) -> String {
    let mut canonical = String::with_capacity(address.len());
    canonical.extend(canonical_bytes(address).map(char::from));
    canonical
}

pub(crate) fn is_canonical(address: &str) -> bool {
    address.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// The bytes of [`canonical`], without an allocation.
pub(crate) fn canonical_bytes(address: &str) -> impl Iterator<Item = u8> {
    address.bytes().filter(u8::is_ascii_hexdigit).map(|digit| digit.to_ascii_lowercase())
}
