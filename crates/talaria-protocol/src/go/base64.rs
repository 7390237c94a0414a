//! Base64 as Go's `base64.StdEncoding` reads it.
//!
//! Where a value may have only one spelling (tokens, keys, credentials), the strict engines of the crate `base64` are
//! used instead.

use base64::alphabet;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};

/// Padding is required, but the bits that it leaves over may have any value.
pub const STANDARD: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);
