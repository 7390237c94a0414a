//! An event type as a record's context keeps it.

/// The longest event type that needs no allocation, in bytes.
const INLINE: usize = 22;

/// An event type. The usual ones are kept in place.
#[derive(Debug)]
pub(super) enum EventType {
    Inline { length: u8, bytes: [u8; INLINE] },
    Long(Box<str>),
}

const _: () = assert!(size_of::<EventType>() == 24);

impl EventType {
    pub(super) fn new(text: &str) -> Self {
        let mut bytes = [0; INLINE];
        match (bytes.get_mut(..text.len()), u8::try_from(text.len())) {
            (Some(place), Ok(length)) => {
                place.copy_from_slice(text.as_bytes());
                Self::Inline { length, bytes }
            }
            _ => Self::Long(text.into()),
        }
    }

    pub(super) fn as_str(&self) -> &str {
        match self {
            Self::Inline { length, bytes } => {
                let bytes = bytes.get(..usize::from(*length)).unwrap_or_default();
                str::from_utf8(bytes).unwrap_or_default()
            }
            Self::Long(text) => text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_long_event_types_are_kept() {
        for text in ["", "device-status", &"x".repeat(22), &"x".repeat(23), &"\u{e9}".repeat(150)] {
            assert_eq!(EventType::new(text).as_str(), text);
        }
    }
}
