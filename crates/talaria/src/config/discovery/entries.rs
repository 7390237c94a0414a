//! What the lists of `service.consul` and `service.zookeeper` have in common. The sample does not hold their keys, because they
//! are empty by default.

use super::super::known;
use super::super::read::Section;
use crate::discovery::consul::Token;

/// As many entries of a list are read.
const MOST: usize = 64;

/// The items of a list, up to a bound.
pub(super) fn sections<'t>(section: &Section<'t>, key: &str) -> Vec<Section<'t>> {
    let mut items = section.sections(key);
    if items.len() > MOST {
        section.fault(key, format!("has {} items, expected at most {MOST}", items.len()));
        items.clear();
    }
    items
}

/// Reads a token, or the name of its file.
pub(super) fn read_token(section: &Section<'_>, key: &str, file_key: &str) -> Option<Token> {
    let (mut token, mut file) = (String::new(), String::new());
    section.read(key, &mut token);
    section.read(file_key, &mut file);
    match (token.is_empty(), file.is_empty()) {
        (true, true) => None,
        (false, true) => Some(Token::Text(token)),
        (false, false) => {
            section.fault(file_key, format!("is set beside {key}, expected one of them"));
            None
        }
        (true, false) => {
            if let Err(error) = std::fs::read_to_string(&file) {
                section.fault(file_key, format!("names {file}, which was not read: {error}"));
            }
            Some(Token::File(file.into()))
        }
    }
}

/// Warns of keys that are not known.
pub(super) fn warn_of_others<'a>(section: &Section<'_>, known: impl IntoIterator<Item = &'a str>) {
    let names: Vec<&str> = known.into_iter().collect();
    for (key, _) in section.entries() {
        if names.iter().any(|name| name.eq_ignore_ascii_case(key)) {
            continue;
        }
        section.warn(key, known::unknown_key(known::closest(key, names.iter().copied())));
    }
}
