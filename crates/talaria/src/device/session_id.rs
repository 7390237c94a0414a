//! New session ids: a KSUID each, made of the clock and random bytes.

use svix_ksuid::{Ksuid, KsuidLike as _};
use talaria_protocol::connect::SessionId;

/// An id that no other session has.
#[must_use]
pub fn random() -> SessionId {
    loop {
        // The text of a KSUID is 27 letters and digits, so the first one is good.
        if let Some(id) = SessionId::new(&Ksuid::now(None).to_string()) {
            return id;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::random;

    #[test]
    fn every_session_has_an_id_of_its_own() {
        assert_ne!(random(), random());
    }
}
