use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::LocatorError;

/// What kind of name a device or a locator has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scheme {
    /// The address of a device's network interface.
    Mac,
    /// A UUID, though any text will do.
    Uuid,
    /// A host, or anything with a URL.
    Dns,
    /// A serial number.
    Serial,
    /// A kind of event: only in a dest.
    Event,
    /// The device itself: only in a locator.
    Own,
}

impl Scheme {
    /// The scheme as it is written, in lower case: `mac`, …, `self`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Scheme::Mac => "mac",
            Scheme::Uuid => "uuid",
            Scheme::Dns => "dns",
            Scheme::Serial => "serial",
            Scheme::Event => "event",
            Scheme::Own => "self",
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a device is registered and addressed by, in its canonical form (contract §1). Cheap to clone.
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

impl DeviceId {
    /// Parses a device id as WRP v5 does: blanks around it and its authority are trimmed, and `event:` and `self:` are ids too.
    ///
    /// The Kafka publisher's `source` key and `DeviceID` header are its [`id`](DeviceId::id).
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn parse_v5(text: &str) -> Result<DeviceId, LocatorError> {
        let _ = text;
        todo!()
    }

    /// The whole id: `mac:112233aabbcc`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The kind of id.
    pub fn scheme(&self) -> Scheme {
        todo!()
    }

    /// The id without its scheme: `112233aabbcc`.
    pub fn id(&self) -> &str {
        self.0.split_once(':').map_or("", |(_, id)| id)
    }
}

impl FromStr for DeviceId {
    type Err = InvalidDeviceId;

    fn from_str(text: &str) -> Result<DeviceId, InvalidDeviceId> {
        let _ = text;
        todo!()
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
