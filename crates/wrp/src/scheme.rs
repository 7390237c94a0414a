//! The schemes of device ids and locators (contract §1.10, §1.11).

use core::fmt;
use core::str::FromStr;

/// The part of a device id or locator before its colon.
///
/// ```
/// use wrp::Scheme;
///
/// assert_eq!(Scheme::parse("SERIAL"), Some(Scheme::Serial));
/// assert_eq!(Scheme::parse("https"), None);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scheme {
    /// `mac`: the address of a device's network interface.
    Mac,
    /// `uuid`: a UUID; any text is accepted.
    Uuid,
    /// `dns`: a host name.
    Dns,
    /// `serial`: a serial number; any text is accepted.
    Serial,
    /// `event`: a type of events. Only in locators.
    Event,
    /// `self`: the device that sends the message. Only in locators.
    Own,
}

/// The text is not the name of a scheme.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unknown scheme")]
pub struct SchemeError;

impl Scheme {
    const ALL: [Self; 6] = [Self::Mac, Self::Uuid, Self::Dns, Self::Serial, Self::Event, Self::Own];

    /// The scheme with this name, in any case.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scheme| scheme.as_str().eq_ignore_ascii_case(name))
    }

    /// The scheme's name, in lower case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mac => "mac",
            Self::Uuid => "uuid",
            Self::Dns => "dns",
            Self::Serial => "serial",
            Self::Event => "event",
            Self::Own => "self",
        }
    }
}

/// As [`Scheme::parse`].
impl FromStr for Scheme {
    type Err = SchemeError;

    fn from_str(name: &str) -> Result<Self, SchemeError> {
        Self::parse(name).ok_or(SchemeError)
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
