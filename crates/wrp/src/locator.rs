//! Locators: what the `source` and `dest` of a message hold (contract §1.11), and the event type in a `dest` (contract §1.12).
//!
//! As for device ids there are two parsers: [`Locator::parse_v3`] for routing in the gateway, [`Locator::parse_v5`] for the
//! Kafka publisher. Whether a locator leads to a connected device is not known here.

use alloc::borrow::{Cow, ToOwned as _};
use alloc::string::String;
use core::fmt;
use core::str::FromStr;

use crate::device_id::{PartsV5, split_at_slash};
use crate::{DeviceId, DeviceIdError, Scheme, mac};

/// The name of a device, of a service on a device, of a host or of a type of events (contract §1.11). Its `Display` is a
/// locator again.
///
/// ```
/// use wrp::{Locator, Scheme};
///
/// let source = Locator::parse_v3("mac:11:22:33:AA:BB:CC/config/x")?;
/// assert_eq!((source.scheme, &*source.service, &*source.ignored), (Scheme::Mac, "config", "/x"));
/// assert_eq!(source.device_id().unwrap().as_str(), "mac:112233aabbcc");
///
/// let dest = Locator::parse_v3("event:device-status/mac:112233aabbcc/online")?;
/// assert_eq!(dest.event_type(), "device-status");
/// # Ok::<(), wrp::LocatorError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Locator<'a> {
    /// The part before the colon.
    pub scheme: Scheme,
    /// The part after the colon: v3 keeps it as it is written, v5 makes a MAC address canonical. Empty for `self` only.
    pub authority: Cow<'a, str>,
    /// The service on the device; empty if the locator names none.
    pub service: Cow<'a, str>,
    /// The rest of the text, which begins with `/` unless it is empty.
    pub ignored: Cow<'a, str>,
}

/// Why a text is not a locator. The texts are the reference's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LocatorError {
    /// v3: the text does not begin with a known scheme and a colon.
    #[error("invalid locator: `{0}` does not match expected locator pattern")]
    Pattern(String),
    /// v3: a `dns` or `event` locator without an authority.
    #[error("invalid locator: empty authority")]
    EmptyAuthority,
    /// v3: the authority of a device's locator is not an id of its scheme.
    #[error(
        "invalid device name: unable to make a device ID with scheme `{scheme}` and authority `{authority}`"
    )]
    Device {
        /// The locator's scheme.
        scheme: Scheme,
        /// The authority, trimmed.
        authority: String,
    },
    /// v5: the text does not begin with a device id.
    #[error("invalid locator; {0}")]
    DeviceId(#[from] DeviceIdError),
    /// v5: a `self` locator with an authority.
    #[error("invalid locator")]
    NamedSelf,
}

impl<'a> Locator<'a> {
    /// Parses a locator as WRP v3 does, for routing in the gateway.
    ///
    /// # Errors
    /// Returns the first rule of v3 that the text breaks.
    pub fn parse_v3(text: &'a str) -> Result<Self, LocatorError> {
        let pattern = || LocatorError::Pattern(text.to_owned());
        let (scheme, rest) = text.split_once(':').ok_or_else(pattern)?;
        let scheme = Scheme::parse(scheme).ok_or_else(pattern)?;

        let (authority, rest) = split_at_slash(rest);
        let (service, rest) = split_service_v3(rest);
        // The reference's pattern ends at the first line break after the service.
        let ignored = rest.split('\n').next().unwrap_or_default();
        let (authority, service, ignored) = (authority.trim(), service.trim(), ignored.trim());

        match scheme {
            Scheme::Dns | Scheme::Event if authority.is_empty() => return Err(LocatorError::EmptyAuthority),
            Scheme::Dns | Scheme::Event => {}
            _ if is_device_v3(scheme, authority) => {}
            _ => return Err(LocatorError::Device { scheme, authority: authority.to_owned() }),
        }
        let (service, ignored) = match scheme {
            Scheme::Event if !service.is_empty() => ("", joined(text, service, ignored)),
            _ => (service, Cow::Borrowed(ignored)),
        };
        Ok(Locator { scheme, authority: Cow::Borrowed(authority), service: Cow::Borrowed(service), ignored })
    }

    /// Parses a locator as WRP v5 does, for the Kafka publisher.
    ///
    /// # Errors
    /// Returns the first rule of v5 that the text breaks.
    pub fn parse_v5(text: &'a str) -> Result<Self, LocatorError> {
        let PartsV5 { scheme, authority, bare, rest } = PartsV5::split(text)?;
        if scheme == Scheme::Own && !bare {
            return Err(LocatorError::NamedSelf);
        }
        let authority = match scheme {
            Scheme::Mac if !mac::is_canonical(authority) => Cow::Owned(mac::canonical(authority)),
            _ => Cow::Borrowed(authority),
        };
        let (service, ignored) = match scheme {
            Scheme::Dns | Scheme::Event => ("", rest),
            _ => split_at_slash(rest.strip_prefix('/').unwrap_or_default()),
        };
        Ok(Locator { scheme, authority, service: Cow::Borrowed(service), ignored: Cow::Borrowed(ignored) })
    }

    /// Copies what the locator borrows.
    #[must_use]
    pub fn into_owned(self) -> Locator<'static> {
        Locator {
            scheme: self.scheme,
            authority: Cow::Owned(self.authority.into_owned()),
            service: Cow::Owned(self.service.into_owned()),
            ignored: Cow::Owned(self.ignored.into_owned()),
        }
    }

    /// The id of the device that the locator names: `self:` for `self`, `None` for `dns` and `event`.
    #[must_use]
    pub fn device_id(&self) -> Option<DeviceId> {
        match self.scheme {
            Scheme::Dns | Scheme::Event => None,
            Scheme::Mac => Some(DeviceId::new(self.scheme, &mac::canonical(&self.authority))),
            _ => Some(DeviceId::new(self.scheme, &self.authority)),
        }
    }

    /// Whether [`Locator::device_id`] is `device`. Does not allocate.
    ///
    /// ```
    /// let id: wrp::DeviceId = "mac:112233aabbcc".parse()?;
    /// assert!(wrp::Locator::parse_v3("MAC:11-22-33-AA-BB-CC/config")?.names(&id));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn names(&self, device: &DeviceId) -> bool {
        self.scheme == device.scheme()
            && match self.scheme {
                Scheme::Dns | Scheme::Event => false,
                Scheme::Mac => mac::canonical_bytes(&self.authority).eq(device.id().bytes()),
                _ => self.authority == device.id(),
            }
    }

    /// The authority of an `event:` locator; empty for other schemes (contract §1.12).
    #[must_use]
    pub fn event_type(&self) -> &str {
        match self.scheme {
            Scheme::Event => &self.authority,
            _ => "",
        }
    }
}

/// As [`Locator::parse_v3`].
impl<'a> TryFrom<&'a str> for Locator<'a> {
    type Error = LocatorError;

    fn try_from(text: &'a str) -> Result<Self, LocatorError> {
        Self::parse_v3(text)
    }
}

/// As [`Locator::parse_v3`], with a copy of the text.
impl FromStr for Locator<'static> {
    type Err = LocatorError;

    fn from_str(text: &str) -> Result<Self, LocatorError> {
        Locator::parse_v3(text).map(Locator::into_owned)
    }
}

impl fmt::Display for Locator<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let slash = if self.service.is_empty() { "" } else { "/" };
        write!(f, "{}:{}{slash}{}{}", self.scheme, self.authority, self.service, self.ignored)
    }
}

/// The event type of a message with this dest, by the rules of WRP v5 (contract §1.12): the authority of an `event:`
/// locator, or empty. Does not allocate.
///
/// ```
/// assert_eq!(wrp::event_type("event:device-status/mac:112233445566/online"), "device-status");
/// assert_eq!(wrp::event_type("dns:example.com"), "");
/// ```
#[must_use]
pub fn event_type(dest: &str) -> &str {
    match PartsV5::split(dest) {
        Ok(PartsV5 { scheme: Scheme::Event, authority, .. }) => authority,
        _ => "",
    }
}

/// Splits a service off the front: the text between the first slash and the next one. Two slashes in a row are no service.
fn split_service_v3(text: &str) -> (&str, &str) {
    match text.strip_prefix('/').map(split_at_slash) {
        Some((service, rest)) if !service.is_empty() => (service, rest),
        _ => ("", text),
    }
}

/// Whether v3 accepts a trimmed authority as a device's id. Routing accepts MAC addresses of 16 and 40 digits, with which
/// no device can register (contract §1.10, §1.11).
fn is_device_v3(scheme: Scheme, authority: &str) -> bool {
    match scheme {
        Scheme::Mac => matches!(mac::digits(authority), Ok(12 | 16 | 40)),
        Scheme::Own => authority.is_empty(),
        _ => !authority.is_empty(),
    }
}

/// `/service` and the rest after it. Borrows from the text if nothing was trimmed between the two.
fn joined<'a>(text: &'a str, service: &'a str, ignored: &'a str) -> Cow<'a, str> {
    let whole = text.trim_end();
    let length = 1 + service.len() + ignored.len();
    match whole.len().checked_sub(length).and_then(|at| whole.get(at..)) {
        Some(tail) if tail.starts_with('/') && tail[1..].starts_with(service) && tail.ends_with(ignored) => {
            Cow::Borrowed(tail)
        }
        _ => Cow::Owned(["/", service, ignored].concat()),
    }
}
