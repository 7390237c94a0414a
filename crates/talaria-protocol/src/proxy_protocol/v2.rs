//! Version 2: a binary header (section 2.2 of `proxy-protocol.txt`).

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use super::crc32c::Crc32c;
use super::header::{Header, MAX_LENGTH, Progress, ProxyProtocolError};

/// How the header begins.
pub(super) const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// The part that every header has.
const FIXED: usize = 16;

/// The type of the field that is a checksum (`PP2_TYPE_CRC32C`).
const CHECKSUM: u8 = 0x03;

/// Where a connection of this family and transport has the client's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    Unspecified,
    V4,
    V6,
    Unix,
}

/// Reads bytes that begin with the signature, as far as they go.
pub(super) fn parse(bytes: &[u8]) -> Result<Progress, ProxyProtocolError> {
    let is_local = match bytes.get(12) {
        None => return Ok(Progress::Incomplete),
        Some(0x20) => true,
        Some(0x21) => false,
        Some(_) => return Err(ProxyProtocolError::Command),
    };
    let Some(&[family, high, low]) = bytes.get(13..FIXED) else { return Ok(Progress::Incomplete) };
    let length = FIXED + usize::from(u16::from_be_bytes([high, low]));
    if length > MAX_LENGTH {
        return Err(ProxyProtocolError::TooLong);
    }
    // A connection of the proxy's own: everything behind the fixed part has to be ignored.
    let family = if is_local { Family::Unspecified } else { Family::try_from(family)? };
    if length - FIXED < family.length() {
        return Err(ProxyProtocolError::TooShort);
    }
    let Some(header) = bytes.get(..length) else { return Ok(Progress::Incomplete) };
    if !is_local {
        check_fields(header, FIXED + family.length())?;
    }
    Ok(Progress::Complete(Header { length, client: family.client(&header[FIXED..]) }))
}

impl TryFrom<u8> for Family {
    type Error = ProxyProtocolError;

    fn try_from(byte: u8) -> Result<Self, Self::Error> {
        match byte {
            0x00 => Ok(Self::Unspecified),
            0x11 | 0x12 => Ok(Self::V4),
            0x21 | 0x22 => Ok(Self::V6),
            0x31 | 0x32 => Ok(Self::Unix),
            _ => Err(ProxyProtocolError::Family),
        }
    }
}

impl Family {
    /// The bytes of both addresses and ports.
    fn length(self) -> usize {
        match self {
            Self::Unspecified => 0,
            Self::V4 => 12,
            Self::V6 => 36,
            Self::Unix => 216,
        }
    }

    /// The client's address in what is behind the fixed part. Source and destination come first, then their ports.
    fn client(self, addresses: &[u8]) -> Option<SocketAddr> {
        let port = |at: usize| Some(u16::from_be_bytes(*addresses.get(at..)?.first_chunk()?));
        match self {
            Self::Unspecified | Self::Unix => None,
            Self::V4 => {
                let source = Ipv4Addr::from_octets(*addresses.first_chunk()?);
                Some(SocketAddr::new(source.into(), port(8)?))
            }
            Self::V6 => {
                let source = Ipv6Addr::from_octets(*addresses.first_chunk()?);
                Some(SocketAddr::new(source.into(), port(32)?))
            }
        }
    }
}

/// Checks that the fields behind the addresses, each a type, a length and a value, end where the header does, and the
/// checksum if there is one.
fn check_fields(header: &[u8], mut at: usize) -> Result<(), ProxyProtocolError> {
    let mut checksum = None;
    while at < header.len() {
        let Some(&[kind, high, low]) = header.get(at..at + 3) else { return Err(ProxyProtocolError::Field) };
        let value = at + 3;
        at = value + usize::from(u16::from_be_bytes([high, low]));
        if at > header.len() {
            return Err(ProxyProtocolError::Field);
        }
        // A second one could only be right by chance: each is computed with the others in place.
        if kind == CHECKSUM && checksum.replace(value..at).is_some() {
            return Err(ProxyProtocolError::Checksum);
        }
    }
    let Some(field) = checksum else { return Ok(()) };
    let Ok(expected) = <[u8; 4]>::try_from(&header[field.clone()]) else {
        return Err(ProxyProtocolError::Checksum);
    };
    let mut crc = Crc32c::default();
    crc.update(&header[..field.start]);
    crc.update(&[0; 4]);
    crc.update(&header[field.end..]);
    if crc.value() == u32::from_be_bytes(expected) { Ok(()) } else { Err(ProxyProtocolError::Checksum) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IPV4: [u8; 12] = [192, 0, 2, 7, 127, 0, 0, 1, 0x13, 0x88, 0x18, 0x38];

    fn header(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [SIGNATURE, &[command, family], &length, rest].concat()
    }

    fn complete(bytes: &[u8], client: Option<&str>) {
        let client = client.map(|client| client.parse().unwrap());
        let expected = Ok(Progress::Complete(Header { length: bytes.len(), client }));
        assert_eq!(parse(bytes), expected, "{bytes:x?}");
        assert_eq!(parse(&[bytes, b"GET / HTTP/1.1\r\n"].concat()), expected, "{bytes:x?}");
        assert_eq!(parse(&bytes[..bytes.len() - 1]), Ok(Progress::Incomplete), "{bytes:x?}");
    }

    #[test]
    fn a_header_names_the_client() {
        complete(&header(0x21, 0x11, &IPV4), Some("192.0.2.7:5000"));
        complete(&header(0x21, 0x12, &IPV4), Some("192.0.2.7:5000"));
        let mut ipv6 = [0; 36];
        ipv6[..4].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8]);
        ipv6[15] = 1;
        ipv6[32..34].copy_from_slice(&5000_u16.to_be_bytes());
        complete(&header(0x21, 0x21, &ipv6), Some("[2001:db8::1]:5000"));
        complete(&header(0x21, 0x31, &[b'/'; 216]), None);
        complete(&header(0x21, 0x00, &[]), None);
    }

    #[test]
    fn a_local_connection_names_none_whatever_else_its_header_says() {
        complete(&header(0x20, 0x00, &[]), None);
        complete(&header(0x20, 0x11, &IPV4), None);
        complete(&header(0x20, 0xff, &[1, 2, 3]), None);
    }

    #[test]
    fn fields_behind_the_addresses_are_skipped_if_they_end_with_the_header() {
        let name = [&[0x02, 0, 4][..], b"host"].concat();
        complete(&header(0x21, 0x11, &[&IPV4[..], &name, &[0x04, 0, 0]].concat()), Some("192.0.2.7:5000"));
        for cut in [1, 2, 5] {
            let rest = [&IPV4[..], &name[..cut]].concat();
            assert_eq!(parse(&header(0x21, 0x11, &rest)), Err(ProxyProtocolError::Field), "{cut}");
        }
    }

    #[test]
    fn a_checksum_has_to_be_right() {
        let with = |checksum: [u8; 4]| {
            header(0x21, 0x11, &[&IPV4[..], &[CHECKSUM, 0, 4], &checksum, &[0x04, 0, 1, 9]].concat())
        };
        let mut crc = Crc32c::default();
        crc.update(&with([0; 4]));
        complete(&with(crc.value().to_be_bytes()), Some("192.0.2.7:5000"));
        assert_eq!(parse(&with((crc.value() ^ 1).to_be_bytes())), Err(ProxyProtocolError::Checksum));
        for fields in [&[CHECKSUM, 0, 3, 0, 0, 0][..], &[CHECKSUM, 0, 0, CHECKSUM, 0, 0]] {
            let refused = header(0x21, 0x11, &[&IPV4[..], fields].concat());
            assert_eq!(parse(&refused), Err(ProxyProtocolError::Checksum));
        }
    }

    #[test]
    fn what_is_not_known_or_too_short_is_refused_before_it_has_arrived() {
        for (command, family, length, error) in [
            (0x11, 0x11, 12, ProxyProtocolError::Command),
            (0x22, 0x11, 12, ProxyProtocolError::Command),
            (0x31, 0x11, 12, ProxyProtocolError::Command),
            (0x21, 0x10, 12, ProxyProtocolError::Family),
            (0x21, 0x41, 12, ProxyProtocolError::Family),
            (0x21, 0x11, 11, ProxyProtocolError::TooShort),
            (0x21, 0x21, 35, ProxyProtocolError::TooShort),
            (0x21, 0x31, 215, ProxyProtocolError::TooShort),
            (0x21, 0x11, 4081, ProxyProtocolError::TooLong),
            (0x20, 0x00, u16::MAX, ProxyProtocolError::TooLong),
        ] {
            let fixed = [SIGNATURE, &[command, family], &u16::to_be_bytes(length)].concat();
            assert_eq!(parse(&fixed), Err(error), "{fixed:x?}");
        }
    }
}
