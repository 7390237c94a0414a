//! The comments of the sample, by the keys that they describe.
//!
//! Only that file has to be understood: block style, two blanks for each level. A comment beside a value goes on in the lines below
//! it that have nothing but a comment at about the same column.

use std::collections::HashMap;

/// From this column on a comment of its own line belongs to the value above it.
const BESIDE: usize = 24;

/// The comments of a key.
#[derive(Clone, Debug, Default)]
pub(crate) struct Comments {
    /// The lines above the key, with their marks.
    pub(crate) above: Vec<String>,
    /// The text beside the value, without its mark.
    pub(crate) beside: String,
}

impl Comments {
    /// What is said of the key, as one text.
    pub(crate) fn text(&self) -> String {
        let above = self.above.iter().map(|line| line.trim_start_matches('#').trim());
        above.chain([self.beside.as_str()]).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
    }
}

/// The comments of a text by the path of the key in lower case, with `[]` for an item of a list.
pub(crate) fn comments(text: &str) -> HashMap<String, Comments> {
    let mut found: HashMap<String, Comments> = HashMap::new();
    let mut above = Vec::new();
    let mut path: Vec<(usize, String)> = Vec::new();
    let mut latest = String::new();
    for line in text.lines() {
        let text = line.trim_start();
        let column = line.len() - text.len();
        if text.is_empty() {
            above.clear();
            continue;
        }
        if let Some(comment) = text.strip_prefix('#') {
            match found.get_mut(&latest) {
                Some(before) if column >= BESIDE && !before.beside.is_empty() => {
                    before.beside.push(' ');
                    before.beside.push_str(comment.trim());
                }
                _ => above.push(text.to_owned()),
            }
            continue;
        }
        let (text, in_item) = text.strip_prefix("- ").map_or((text, false), |rest| (rest, true));
        let indent = line.len() - text.len();
        let Some((key, rest)) = text.split_once(':') else { continue };
        path.retain(|(level, _)| *level < indent);
        if in_item && let Some((_, list)) = path.last_mut() {
            list.push_str("[]");
        }
        path.push((indent, key.to_lowercase()));
        latest = path.iter().map(|(_, key)| key.as_str()).collect::<Vec<_>>().join(".");
        let beside = rest.split_once(" # ").map_or("", |(_, comment)| comment.trim()).to_owned();
        found.insert(latest.clone(), Comments { above: std::mem::take(&mut above), beside });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::sample::described_text;

    #[test]
    fn comments_above_beside_and_below_a_value_are_its_own() {
        let found = comments(&described_text());
        let text = |path: &str| found[path].text();
        assert!(text("config.persist").ends_with("empty: such changes are gone after a restart"));
        assert!(text("device.manager.refusal").starts_with("for a time, ids and addresses"));
        assert!(
            text("device.outbound.credentials[].signature.keyfile").ends_with("read again when it changes")
        );
        assert!(text("service.consul.watches[].queryoptions.token").starts_with("ACL token"));
        assert!(text("primary").starts_with("The server for devices"));
    }
}
