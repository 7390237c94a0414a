//! "As Go does it": values that the Go gateway reads, compares or prints in Go's own way, and that existing
//! configurations, tokens and dashboards rely on. Each rule is written here once.
//!
//! - [`duration`], [`parse_bool`], [`cast`], [`base64`] and [`percent`] read texts as Go's standard library does.
//! - [`print`](mod@print) reads JSON and prints its values as `%v` does, [`timestamp`] prints moments as RFC 3339.
//!
//! Deliberately absent: how Go compares values (that is in [`attributes`](crate::attributes), where it is used), and
//! which URLs Go accepts (that is in [`url`](crate::url)).

pub mod base64;
pub mod cast;
pub mod duration;
pub mod percent;
pub mod print;
pub mod timestamp;

/// Reads a truth value as Go's `strconv.ParseBool` does. `None` for any other text, the empty one included.
#[must_use]
pub fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::parse_bool;

    #[test]
    fn only_the_twelve_spellings_of_go_are_truth_values() {
        for (text, value) in [
            ("true", Some(true)),
            ("T", Some(true)),
            ("0", Some(false)),
            ("False", Some(false)),
            ("", None),
            ("tRUE", None),
            ("yes", None),
            (" 1", None),
        ] {
            assert_eq!(parse_bool(text), value, "{text:?}");
        }
    }
}
