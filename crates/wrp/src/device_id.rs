//! The ids by which devices register and are addressed (contract §1.10).
//!
//! The reference has two parsers, so there are two here: `FromStr` is that of WRP v3, which the gateway uses to register
//! and to route; [`DeviceId::parse_v5`] is that of the Kafka publisher. Both yield the canonical form. Whether the
//! scheme's own rules hold is checked for `mac:` only: any text may follow `uuid:`, as in the reference.

use alloc::sync::Arc;
use core::fmt;
use core::str::FromStr;

use crate::{Scheme, TextBuf, mac};

/// The canonical id of a device: `mac:112233aabbcc`. A clone shares the text.
///
/// ```
/// use wrp::{DeviceId, Scheme};
///
/// let id: DeviceId = "MAC:11:22:33:aa:BB:cc/config".parse()?;
/// assert_eq!(id.as_str(), "mac:112233aabbcc");
/// assert_eq!((id.scheme(), id.id()), (Scheme::Mac, "112233aabbcc"));
/// assert_eq!("mac:1".parse::<DeviceId>().unwrap_err().to_string(), "invalid device name");
/// # Ok::<(), wrp::DeviceNameError>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeviceId(Arc<str>);

/// The text is not a name under which a device can register (WRP v3). Like the reference, it does not say why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{}", DeviceNameError::TEXT)]
pub struct DeviceNameError;

impl DeviceNameError {
    /// The error's text, which is also a label of the gateway's metrics.
    pub const TEXT: &str = "invalid device name";
}

/// Why WRP v5 does not accept a text as a device id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DeviceIdError {
    /// The text is empty or blank.
    #[error("invalid device name: empty device ID")]
    Empty,
    /// The text does not begin with a known scheme and a colon.
    #[error("invalid device name: unknown or missing scheme")]
    UnknownScheme,
    /// Nothing follows the scheme.
    #[error("invalid device name: missing authority in device ID")]
    MissingAuthority,
    /// The MAC address contains a character that is neither a hex digit nor a separator.
    #[error("invalid device name: invalid character `{0}` in MAC address")]
    MacCharacter(char),
    /// The MAC address does not have twelve hex digits.
    #[error("invalid device name: invalid MAC address length")]
    MacLength,
}

impl DeviceId {
    /// The longest id under which a device can register, in bytes (contract §1.10).
    pub const MAX_BYTES: usize = 256;

    /// Parses a device id as WRP v5 does, for the Kafka publisher's `source` key and `DeviceID` header.
    ///
    /// Unlike in v3, blanks around the text and around its authority are trimmed, and `event:` and `self:` are ids.
    ///
    /// ```
    /// let id = wrp::DeviceId::parse_v5("event: iot /x")?;
    /// assert_eq!(id.as_str(), "event:iot");
    /// # Ok::<(), wrp::DeviceIdError>(())
    /// ```
    ///
    /// # Errors
    /// Returns the first rule of v5 that the text breaks.
    pub fn parse_v5(text: &str) -> Result<Self, DeviceIdError> {
        let parts = PartsV5::split(text)?;
        match parts.scheme {
            Scheme::Own => Ok(Self::new(Scheme::Own, "")),
            Scheme::Mac => Ok(Self::new(Scheme::Mac, &mac::canonical(parts.authority))),
            scheme => Ok(Self::new(scheme, parts.authority)),
        }
    }

    /// Joins a scheme and an authority, which must already be in its canonical form.
    pub(crate) fn new(scheme: Scheme, authority: &str) -> Self {
        Self([scheme.as_str(), ":", authority].concat().into())
    }

    /// The whole id: `mac:112233aabbcc`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part before the colon.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        let scheme = self.0.split_once(':').and_then(|(scheme, _)| Scheme::parse(scheme));
        scheme.unwrap_or(Scheme::Serial) // cannot happen: each constructor writes a scheme
    }

    /// The id without its scheme: `112233aabbcc`.
    #[must_use]
    pub fn id(&self) -> &str {
        self.0.split_once(':').map_or("", |(_, id)| id)
    }
}

/// Parses the name under which a device registers, or the dest of a message to a device (WRP v3). Text after the id, from
/// the first `/` on, is ignored.
impl FromStr for DeviceId {
    type Err = DeviceNameError;

    fn from_str(text: &str) -> Result<Self, DeviceNameError> {
        let (scheme, rest) = text.split_once(':').ok_or(DeviceNameError)?;
        let scheme = Scheme::parse(scheme).ok_or(DeviceNameError)?;
        let (id, _) = split_at_slash(rest);
        match scheme {
            Scheme::Mac if mac::digits(id) == Ok(12) => Ok(Self::new(scheme, &mac::canonical(id))),
            Scheme::Uuid | Scheme::Dns | Scheme::Serial if !id.is_empty() && is_short(scheme, id) => {
                Ok(Self::new(scheme, id))
            }
            _ => Err(DeviceNameError),
        }
    }
}

/// As [`FromStr`].
impl TryFrom<&str> for DeviceId {
    type Error = DeviceNameError;

    fn try_from(text: &str) -> Result<Self, DeviceNameError> {
        text.parse()
    }
}

/// The locator of the device.
impl From<&DeviceId> for TextBuf {
    fn from(id: &DeviceId) -> Self {
        Self::from(id.as_str())
    }
}

impl AsRef<str> for DeviceId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The parts of a v5 locator that has been checked.
pub(crate) struct PartsV5<'a> {
    pub(crate) scheme: Scheme,
    /// Trimmed; a MAC address is valid but not yet canonical.
    pub(crate) authority: &'a str,
    /// Whether the authority was empty before it was trimmed.
    pub(crate) bare: bool,
    /// The text after the authority, which begins with `/` unless it is empty.
    pub(crate) rest: &'a str,
}

impl<'a> PartsV5<'a> {
    pub(crate) fn split(text: &'a str) -> Result<Self, DeviceIdError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(DeviceIdError::Empty);
        }
        let (scheme, rest) = text.split_once(':').ok_or(DeviceIdError::UnknownScheme)?;
        let scheme = Scheme::parse(scheme).ok_or(DeviceIdError::UnknownScheme)?;
        let (authority, rest) = split_at_slash(rest);
        let parts = PartsV5 { scheme, authority: authority.trim(), bare: authority.is_empty(), rest };
        match scheme {
            Scheme::Own => Ok(parts),
            _ if parts.authority.is_empty() => Err(DeviceIdError::MissingAuthority),
            Scheme::Mac => match mac::digits(parts.authority) {
                Ok(12) => Ok(parts),
                Ok(_) => Err(DeviceIdError::MacLength),
                Err(byte) => Err(DeviceIdError::MacCharacter(char::from(byte))),
            },
            _ => Ok(parts),
        }
    }
}

/// Whether the whole id, scheme and colon included, is not longer than [`DeviceId::MAX_BYTES`].
fn is_short(scheme: Scheme, id: &str) -> bool {
    scheme.as_str().len() + 1 + id.len() <= DeviceId::MAX_BYTES
}

/// Splits in front of the first slash.
pub(crate) fn split_at_slash(text: &str) -> (&str, &str) {
    text.split_at(text.find('/').unwrap_or(text.len()))
}
