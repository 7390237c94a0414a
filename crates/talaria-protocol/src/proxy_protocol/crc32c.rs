//! The checksum CRC-32C (Castagnoli; RFC 3720 appendix B.4), for the few headers that carry one.

/// The polynomial with its bits in reverse.
const POLYNOMIAL: u32 = 0x82f6_3b78;

/// The checksum of the bytes so far.
#[derive(Clone, Copy, Debug)]
pub(super) struct Crc32c(u32);

impl Default for Crc32c {
    fn default() -> Self {
        Self(u32::MAX)
    }
}

impl Crc32c {
    pub(super) fn update(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 ^= u32::from(*byte);
            for _ in 0..8 {
                let is_odd = self.0 & 1 == 1;
                self.0 = (self.0 >> 1) ^ if is_odd { POLYNOMIAL } else { 0 };
            }
        }
    }

    pub(super) fn value(self) -> u32 {
        !self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksums_are_those_of_the_rfc() {
        let ascending: Vec<u8> = (0..32).collect();
        for (bytes, value) in [
            (&[0; 32][..], 0x8a91_36aa),
            (&[0xff; 32], 0x62a8_ab43),
            (&ascending, 0x46dd_794e),
            (b"123456789", 0xe306_9283),
        ] {
            let mut crc = Crc32c::default();
            crc.update(bytes);
            assert_eq!(crc.value(), value, "{bytes:x?}");
        }
    }
}
