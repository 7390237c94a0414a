//! New session ids: a KSUID each, made of the clock and random bytes.

use svix_ksuid::{Ksuid, KsuidLike as _};
use talaria_protocol::connect::SessionId;

/// An id that no other session has.
#[must_use]
pub fn random() -> SessionId {
    SessionId::of_ksuid(Ksuid::now(None).bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_session_has_an_id_of_its_own() {
        assert_ne!(random(), random());
    }

    #[test]
    fn the_id_is_the_ksuid_s_text() {
        for _ in 0..100 {
            let ksuid = Ksuid::now(None);
            assert_eq!(SessionId::of_ksuid(ksuid.bytes()).as_str(), ksuid.to_string());
        }
    }
}
