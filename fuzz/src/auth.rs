//! As much of the gateway's module `auth` as does no I/O; each file but `keys.rs` is a link to the gateway's.
#![expect(dead_code, reason = "the gateway's other modules use what is not used here")]

pub mod jwt {
    //! Tokens.
    pub mod algorithm;
    pub mod json;
    pub mod key_id;
    pub mod public_key;
    pub mod times;
    pub mod token;
}
pub mod keys;
