use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::Scheme;
use crate::mac;

/// What a device is registered and addressed by, in its canonical form (contract §1.10). Cheap to clone.
///
/// ```
/// use wrp::{DeviceId, Scheme};
///
/// let id: DeviceId = "MAC:11:22:33:aa:BB:cc/config".parse()?;
/// assert_eq!(id.as_str(), "mac:112233aabbcc");
/// assert_eq!((id.scheme(), id.id()), (Scheme::Mac, "112233aabbcc"));
/// assert_eq!("mac:1".parse::<DeviceId>().unwrap_err().to_string(), "invalid device name");
/// # Ok::<(), wrp::InvalidDeviceId>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeviceId(Arc<str>);

/// A text that is no device's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("invalid device name")]
pub struct InvalidDeviceId;

/// Why a text is no device id to WRP v5.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DeviceIdError {
    /// There is no text.
    #[error("invalid device name: empty device ID")]
    Empty,
    /// It does not begin with one of the schemes and a colon.
    #[error("invalid device name: unknown or missing scheme")]
    UnknownScheme,
    /// There is nothing after the scheme.
    #[error("invalid device name: missing authority in device ID")]
    MissingAuthority,
    /// A MAC address with something that is neither a hex digit nor a separator.
    #[error("invalid device name: invalid character `{0}` in MAC address")]
    MacCharacter(char),
    /// A MAC address that has not twelve digits.
    #[error("invalid device name: invalid MAC address length")]
    MacLength,
}

impl DeviceId {
    /// Parses a device id as WRP v5 does, which the Kafka publisher needs: blanks around it and around its authority are
    /// trimmed, and `event:` and `self:` are ids too. Its [`id`](DeviceId::id) is the `source` key and the `DeviceID` header.
    ///
    /// ```
    /// let id = wrp::DeviceId::parse_v5("event: iot /x")?;
    /// assert_eq!(id.as_str(), "event:iot");
    /// # Ok::<(), wrp::DeviceIdError>(())
    /// ```
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn parse_v5(text: &str) -> Result<DeviceId, DeviceIdError> {
        let parts = PartsV5::split(text)?;
        match parts.scheme {
            Scheme::Own => Ok(DeviceId::new(Scheme::Own, "")),
            Scheme::Mac => Ok(DeviceId::new(Scheme::Mac, &mac::canonical(parts.authority))),
            scheme => Ok(DeviceId::new(scheme, parts.authority)),
        }
    }

    /// Makes an id of a scheme and an authority that is canonical already.
    pub(crate) fn new(scheme: Scheme, authority: &str) -> DeviceId {
        DeviceId([scheme.as_str(), ":", authority].concat().into())
    }

    /// The whole id: `mac:112233aabbcc`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The kind of id.
    pub fn scheme(&self) -> Scheme {
        let scheme = self.0.split_once(':').and_then(|(scheme, _)| Scheme::parse(scheme));
        scheme.unwrap_or(Scheme::Serial) // an id is only ever made with a scheme
    }

    /// The id without its scheme: `112233aabbcc`.
    pub fn id(&self) -> &str {
        self.0.split_once(':').map_or("", |(_, id)| id)
    }
}

/// Parses the name under which a device registers, or the dest of a message for it. What follows the id is ignored.
impl FromStr for DeviceId {
    type Err = InvalidDeviceId;

    fn from_str(text: &str) -> Result<DeviceId, InvalidDeviceId> {
        let (scheme, rest) = text.split_once(':').ok_or(InvalidDeviceId)?;
        let scheme = Scheme::parse(scheme).ok_or(InvalidDeviceId)?;
        let (id, _) = split_at_slash(rest);
        match scheme {
            Scheme::Mac if mac::digits(id) == Ok(12) => Ok(DeviceId::new(scheme, &mac::canonical(id))),
            Scheme::Uuid | Scheme::Dns | Scheme::Serial if !id.is_empty() => Ok(DeviceId::new(scheme, id)),
            _ => Err(InvalidDeviceId),
        }
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

/// A v5 locator, taken apart and checked.
pub(crate) struct PartsV5<'a> {
    pub(crate) scheme: Scheme,
    /// Trimmed; a MAC address is valid but not yet canonical.
    pub(crate) authority: &'a str,
    /// Whether there was nothing between the scheme and what follows, not even blanks.
    pub(crate) bare: bool,
    /// What follows the authority, from its slash on.
    pub(crate) rest: &'a str,
}

impl<'a> PartsV5<'a> {
    pub(crate) fn split(text: &'a str) -> Result<PartsV5<'a>, DeviceIdError> {
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

/// Splits before the first slash.
pub(crate) fn split_at_slash(text: &str) -> (&str, &str) {
    text.split_at(text.find('/').unwrap_or(text.len()))
}
