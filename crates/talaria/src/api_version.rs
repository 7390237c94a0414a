//! The version in the paths of devices, services and operators: `/api/v2/…` and `/api/v3/…`.
//!
//! Both versions have the same paths; they differ in some status codes (contract §6.5). What the rest of a path means is
//! decided by the room that serves it: [`primary`](crate::primary) and [`control`](crate::control).

/// The version in a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApiVersion {
    /// `/api/v2`
    V2,
    /// `/api/v3`
    V3,
}

impl ApiVersion {
    /// Splits a path into its version and what follows the slash behind it; none for every other path.
    #[must_use]
    pub fn split(path: &str) -> Option<(Self, &str)> {
        let (version, rest) = path.strip_prefix("/api/")?.split_once('/')?;
        match version {
            "v2" => Some((Self::V2, rest)),
            "v3" => Some((Self::V3, rest)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ApiVersion;

    #[test]
    fn a_path_has_version_2_or_3_or_none() {
        assert_eq!(ApiVersion::split("/api/v2/device/send"), Some((ApiVersion::V2, "device/send")));
        assert_eq!(ApiVersion::split("/api/v3/"), Some((ApiVersion::V3, "")));
        for path in ["/api/v3", "/api/v1/device", "/api/v4/device", "api/v3/device", "/", ""] {
            assert_eq!(ApiVersion::split(path), None, "{path}");
        }
    }
}
