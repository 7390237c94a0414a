//! The versions of TLS, written as Go's numbers or by name.

use std::fmt;
use std::str::FromStr;

use rustls::SupportedProtocolVersion;
use rustls::version::{TLS12, TLS13};

/// A supported version of TLS. Older ones are not supported, because RFC 8996 forbids them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// TLS 1.2, 771 in the configuration.
    V12,
    /// TLS 1.3, 772 in the configuration.
    V13,
}

/// The versions that a server supports: a range with both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Versions {
    min: Version,
    max: Version,
}

/// A text that is not a version of TLS, or a version that is not supported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected 771 (TLS 1.2) or 772 (TLS 1.3)")]
pub struct VersionError;

impl Version {
    /// `TLS 1.2` or `TLS 1.3`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V12 => "TLS 1.2",
            Self::V13 => "TLS 1.3",
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Version {
    type Err = VersionError;

    /// Parses `771`, `0x0303`, `1.2`, `TLS1.2`, `TLS 1.2`, `TLSv1.2`, `VersionTLS12`, and the same for 1.3.
    fn from_str(text: &str) -> Result<Self, VersionError> {
        let mut name = text.trim().to_ascii_lowercase();
        name.retain(|letter| !matches!(letter, ' ' | '.' | '_' | '-'));
        let name = name.strip_prefix("version").unwrap_or(&name);
        let name = name.strip_prefix("tls").unwrap_or(name);
        match name.strip_prefix('v').unwrap_or(name) {
            "771" | "0x0303" | "0x303" | "12" => Ok(Self::V12),
            "772" | "0x0304" | "0x304" | "13" => Ok(Self::V13),
            _ => Err(VersionError),
        }
    }
}

impl Versions {
    /// The range from `min` to `max`; none if `min` is above `max`.
    #[must_use]
    pub fn between(min: Version, max: Version) -> Option<Self> {
        (min <= max).then_some(Self { min, max })
    }

    pub(super) fn supported(self) -> Vec<&'static SupportedProtocolVersion> {
        [(Version::V13, &TLS13), (Version::V12, &TLS12)]
            .into_iter()
            .filter(|(version, _)| (self.min..=self.max).contains(version))
            .map(|(_, supported)| supported)
            .collect()
    }
}

impl Default for Versions {
    fn default() -> Self {
        Self { min: Version::V12, max: Version::V13 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_written_as_go_numbers_them_or_by_name() {
        for text in ["771", "0x0303", "1.2", "TLS1.2", "tls 1.2", "TLSv1.2", "VersionTLS12"] {
            assert_eq!(text.parse(), Ok(Version::V12), "{text}");
        }
        for text in ["772", "1.3", "TLSv1.3"] {
            assert_eq!(text.parse(), Ok(Version::V13), "{text}");
        }
    }

    #[test]
    fn broken_versions_are_not_supported() {
        for text in ["768", "769", "770", "1.0", "1.1", "SSLv3", "", "TLS", "2"] {
            assert_eq!(text.parse::<Version>(), Err(VersionError), "{text}");
        }
    }

    #[test]
    fn the_minimum_is_not_above_the_maximum() {
        assert_eq!(Versions::between(Version::V13, Version::V12), None);
        assert_eq!(Versions::between(Version::V12, Version::V13), Some(Versions::default()));
    }
}
