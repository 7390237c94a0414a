//! The time of day in the server's zone, as events and messages carry it.
//!
//! How a moment is printed is [`Stamp`]'s matter; this module only knows what time it is, and where.

use std::cell::Cell;

use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};
use talaria_protocol::go::timestamp::Stamp;

/// How long a zone's offset stays valid, in seconds: zones change their offset only on a quarter of an hour.
const OFFSET_SECONDS: i64 = 900;

/// Now, in the server's zone: `ts` of events and `/xmidt-timestamp` (contract §2.13, §4.4).
#[must_use]
pub fn now() -> Stamp {
    local(Timestamp::now())
}

/// A moment in the server's zone.
#[must_use]
pub fn local(moment: Timestamp) -> Stamp {
    Stamp::at(moment, local_offset(moment))
}

/// The offset of the server's zone. Each thread looks it up once in a quarter of an hour, because every message needs it.
fn local_offset(moment: Timestamp) -> Offset {
    thread_local! {
        static LAST: Cell<Option<(i64, Offset)>> = const { Cell::new(None) };
    }
    let quarter = moment.as_second().div_euclid(OFFSET_SECONDS);
    match LAST.get() {
        Some((known, offset)) if known == quarter => offset,
        _ => {
            let offset = TimeZone::system().to_offset(moment);
            LAST.set(Some((quarter, offset)));
            offset
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn now_parses_back() {
        let before = Timestamp::now();
        let now: Timestamp = now().as_str().parse().unwrap();
        assert!(before <= now && now <= Timestamp::now());
    }
}
