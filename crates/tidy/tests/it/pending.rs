//! Where a rule does not hold yet. A line goes when its place is in order; the module goes with its last line.

use crate::findings::Finding;
use crate::reading::tree;

/// A rule, and the beginnings of the paths where its findings wait.
const PENDING: &[(&str, &[&str])] = &[
    ("file length", &["crates/talaria/"]),
    ("sleep", &["crates/talaria/", "crates/wrpkafka/"]),
    ("prose", &[""]),
];

/// Whether a finding waits.
#[expect(clippy::disallowed_methods, reason = "the variable is for these tests, not a setting")]
pub(crate) fn is_pending(rule: &str, file: &str) -> bool {
    std::env::var_os("TIDY_ALL").is_none() && places(rule).any(|place| file.starts_with(place))
}

/// The places that wait although nothing is wrong with them any more.
pub(crate) fn settled(rule: &str, findings: &[Finding]) -> impl Iterator<Item = &'static str> {
    places(rule)
        .filter(|place| tree::exists(place) && !findings.iter().any(|(file, ..)| file.starts_with(place)))
}

fn places(rule: &str) -> impl Iterator<Item = &'static str> {
    PENDING.iter().filter(move |(pending, _)| *pending == rule).flat_map(|(_, places)| places.iter().copied())
}
