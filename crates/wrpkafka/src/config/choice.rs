//! Settings that have a few values, each with a name: the one place that reads and prints those names.
//!
//! A type lists its names once, in a `choices!` block beside its definition. Settings with a parameter
//! (`metadata:<field>`) write their own [`FromStr`](std::str::FromStr), but report the same error.

/// A text that is not an accepted value of a setting. It displays as what is expected: `expected all, leader or none`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected {}", alternatives(.0))]
pub struct UnknownNameError(pub(super) &'static [&'static str]);

/// `a, b or c`.
fn alternatives(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [name] => (*name).to_owned(),
        [names @ .., last] => format!("{} or {last}", names.join(", ")),
    }
}

/// Implements `ALL`, `as_str`, `Display` and `FromStr` for an enum whose variants have names.
///
/// `exact` names must be written as they are listed; `any_case` names may be written in upper or lower case.
macro_rules! choices {
    (@same exact) => { str::eq };
    (@same any_case) => { str::eq_ignore_ascii_case };
    ($type:ident, $case:ident, $($variant:ident = $name:literal),+) => {
        impl $type {
            /// Every value, in the order of the enum.
            pub const ALL: &[$type] = &[$($type::$variant),+];

            /// The error of any other name.
            pub(crate) const UNKNOWN: super::UnknownNameError = super::UnknownNameError(&[$($name),+]);

            /// The value's name in the configuration.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $($type::$variant => $name),+ }
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $type {
            type Err = super::UnknownNameError;

            fn from_str(text: &str) -> Result<$type, super::UnknownNameError> {
                let same = super::choice::choices!(@same $case);
                let found = $type::ALL.iter().find(|choice| same(choice.as_str(), text));
                found.copied().ok_or($type::UNKNOWN)
            }
        }
    };
}
pub(super) use choices;

#[cfg(test)]
mod tests {
    use crate::config::{Acks, Compression, SaslMechanism, SchemaFormat, SubjectStrategy, WhenDown};

    #[test]
    fn names_print_as_they_are_written_and_an_unknown_one_says_what_is_expected() {
        for name in ["buffer", "raw", "deadLetter"] {
            assert_eq!(name.to_uppercase().parse::<WhenDown>().unwrap().to_string(), name);
        }
        assert_eq!("topicRecord".parse(), Ok(SubjectStrategy::TopicRecord));
        assert_eq!("xml".parse::<SchemaFormat>().unwrap_err().to_string(), "expected avro, json or raw");
        assert_eq!("some".parse::<Acks>().unwrap_err().to_string(), "expected all, leader or none");
    }

    #[test]
    fn names_that_the_reference_compares_exactly_are_compared_exactly() {
        assert_eq!("zstd".parse(), Ok(Compression::Zstd));
        assert!("Snappy".parse::<Compression>().is_err());
        assert_eq!("SCRAM-SHA-256".parse(), Ok(SaslMechanism::ScramSha256));
        assert!("plain".parse::<SaslMechanism>().is_err());
        assert!("ALL".parse::<Acks>().is_err());
    }
}
