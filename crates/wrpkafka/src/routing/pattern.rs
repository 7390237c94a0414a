//! Patterns of event types: at most one `*`, which matches any text (contract §8.4).
//!
//! Matching allocates nothing and takes time linear in the event type's length.

/// A parsed pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pattern {
    shape: Shape,
    case: Case,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Shape {
    Any,
    Exact(Box<str>),
    /// The texts before and after the star.
    Around(Box<str>, Box<str>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Case {
    Sensitive,
    Insensitive,
}

/// What is wrong with a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PatternError {
    #[error("is empty: expected an event type, or `*` for all")]
    Empty,
    #[error("has more than one `*`: at most one is allowed that is not escaped as `\\*`")]
    ManyStars,
}

impl Pattern {
    /// Parses a pattern: `\*` is a literal star, `\\` a backslash, and any other backslash is literal.
    pub(crate) fn parse(text: &str, case_insensitive: bool) -> Result<Self, PatternError> {
        if text.is_empty() {
            return Err(PatternError::Empty);
        }
        let case = if case_insensitive { Case::Insensitive } else { Case::Sensitive };
        let (mut before, mut after) = (String::new(), None::<String>);
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            let literal = match c {
                '\\' => chars.next_if(|next| matches!(next, '*' | '\\')).unwrap_or(c),
                '*' if after.is_some() => return Err(PatternError::ManyStars),
                '*' => {
                    after = Some(String::new());
                    continue;
                }
                _ => c,
            };
            after.as_mut().unwrap_or(&mut before).push(literal);
        }
        let shape = match after {
            None => Shape::Exact(before.into()),
            Some(after) if before.is_empty() && after.is_empty() => Shape::Any,
            Some(after) => Shape::Around(before.into(), after.into()),
        };
        Ok(Self { shape, case })
    }

    /// Whether an event type matches.
    pub(crate) fn matches(&self, event_type: &str) -> bool {
        match &self.shape {
            Shape::Any => true,
            Shape::Exact(text) => self.case.same(event_type.as_bytes(), text),
            Shape::Around(before, after) => {
                let bytes = event_type.as_bytes();
                // The reference compares as many bytes as the part has, so that `ẞ*` does not match `ß…`.
                bytes.len() >= before.len() + after.len()
                    && self.case.same(&bytes[..before.len()], before)
                    && self.case.same(&bytes[bytes.len() - after.len()..], after)
            }
        }
    }
}

impl Case {
    fn same(self, bytes: &[u8], text: &str) -> bool {
        if bytes == text.as_bytes() {
            return true;
        }
        if self == Self::Sensitive {
            return false;
        }
        if bytes.is_ascii() && text.is_ascii() {
            return bytes.eq_ignore_ascii_case(text.as_bytes());
        }
        // Bytes cut within a character are not UTF-8 and equal no text.
        str::from_utf8(bytes).is_ok_and(|other| text.chars().map(fold).eq(other.chars().map(fold)))
    }
}

/// Unicode's simple case folding, derived from the standard library's mappings: two characters are equal if they have
/// the same upper case or, where that is more than one character, the same lower case.
fn fold(c: char) -> char {
    // Turkish: these map to `i` and `I`, but fold to them in Turkish only (CaseFolding.txt, status T).
    if matches!(c, 'ı' | 'İ') {
        return c;
    }
    let upper = single(c.to_uppercase()).unwrap_or(c);
    single(upper.to_lowercase()).unwrap_or(upper)
}

fn single(mut chars: impl ExactSizeIterator<Item = char>) -> Option<char> {
    if chars.len() == 1 { chars.next() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_patterns() {
        vectors::run("patterns.json", |case| {
            let value = &case.value;
            let pattern = value["pattern"].as_str().ok_or("no pattern")?;
            let insensitive = value["case_insensitive"].as_bool().unwrap_or_default();
            let parsed = match (Pattern::parse(pattern, insensitive), value["valid"] == true) {
                (Ok(parsed), true) => parsed,
                (Err(_), false) => return Ok(()),
                (result, valid) => return Err(format!("{result:?}, expected valid: {valid}")),
            };
            for check in value["checks"].as_array().into_iter().flatten() {
                let text = check[0].as_str().ok_or("no text")?;
                let expected = check[1] == true;
                if parsed.matches(text) != expected {
                    return Err(format!("{text:?} matches: {}, expected {expected}", !expected));
                }
            }
            Ok(())
        });
    }

    #[test]
    fn a_cut_through_a_character_matches_nothing() {
        let pattern = Pattern::parse("aé*", true).unwrap();
        assert!(pattern.matches("AÉx"));
        assert!(!pattern.matches("a漢"));
    }
}
