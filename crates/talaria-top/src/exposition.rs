//! Reads a metrics page in Prometheus' text format (version 0.0.4), without a copy: the caller gets each sample as it stands there.
//!
//! Knows no metric by name. Comments are skipped, types included: a family's name says what it is (contract §10.2). A line that
//! cannot be read is an error for the whole page, since a page that is cut short must not look like one with small numbers.

use std::borrow::Cow;

/// One line of a page: a series and its value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Sample<'a> {
    /// The name of the family, or that with `_bucket`, `_sum` or `_count`.
    pub name: &'a str,
    /// Its labels.
    pub labels: Labels<'a>,
    /// Its value; a timestamp behind it is ignored.
    pub value: f64,
}

/// The labels of a sample, as the page has them between the braces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Labels<'a>(&'a str);

/// A line that is not in the format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("line {line} {problem}")]
pub(crate) struct ExpositionError {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub problem: LineError,
}

/// What is wrong with a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LineError {
    /// It does not begin with a name.
    #[error("has no name of a metric")]
    Name,
    /// Its labels do not end, or one of them has no name or no quotes.
    #[error("has labels that cannot be read")]
    Labels,
    /// What follows the labels is not a number.
    #[error("has no number as its value")]
    Value,
}

/// The samples of a page, in its order.
pub(crate) fn samples(page: &str) -> impl Iterator<Item = Result<Sample<'_>, ExpositionError>> {
    page.lines().zip(1..).filter_map(|(text, line)| {
        let text = text.trim_matches([' ', '\t', '\r']);
        (!text.is_empty() && !text.starts_with('#'))
            .then(|| sample(text).map_err(|problem| ExpositionError { line, problem }))
    })
}

impl<'a> Labels<'a> {
    /// The labels as the page has them: the same for the same series of one gateway.
    pub(crate) fn as_str(self) -> &'a str {
        self.0
    }

    /// Labels that [`Labels::as_str`] returned before.
    pub(crate) fn kept(text: &'a str) -> Self {
        Self(text)
    }

    /// The value of a label.
    pub(crate) fn get(self, name: &str) -> Option<Cow<'a, str>> {
        let mut rest = self.0;
        while let Ok((label, after)) = pair(rest) {
            if label.name == name {
                return Some(unescaped(label.value));
            }
            rest = after;
        }
        None
    }
}

fn sample(line: &str) -> Result<Sample<'_>, LineError> {
    let name_end = line.find(|c: char| !is_name(c)).unwrap_or(line.len());
    let (name, rest) = line.split_at(name_end);
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(LineError::Name);
    }
    let (labels, rest) = match rest.trim_start_matches(BLANKS).strip_prefix('{') {
        Some(inside) => labels(inside)?,
        None if rest.starts_with(BLANKS) => (Labels(""), rest),
        None => return Err(LineError::Name),
    };
    let value = rest.split(BLANKS).find(|part| !part.is_empty()).ok_or(LineError::Value)?;
    let value = value.parse().map_err(|_| LineError::Value)?;
    Ok(Sample { name, labels, value })
}

/// The labels up to the closing brace, and what follows it.
fn labels(inside: &str) -> Result<(Labels<'_>, &str), LineError> {
    let mut rest = inside;
    loop {
        let trimmed = rest.trim_start_matches(BLANKS);
        if let Some(after) = trimmed.strip_prefix('}') {
            let length = inside.len() - trimmed.len();
            return Ok((Labels(&inside[..length]), after));
        }
        (_, rest) = pair(trimmed)?;
    }
}

struct Label<'a> {
    name: &'a str,
    /// As it stands between the quotes.
    value: &'a str,
}

/// The first label, and what follows it and its comma.
fn pair(text: &str) -> Result<(Label<'_>, &str), LineError> {
    let (name, rest) = text.split_once('=').ok_or(LineError::Labels)?;
    let name = name.trim_matches(BLANKS);
    if name.is_empty() || !name.chars().all(is_name) {
        return Err(LineError::Labels);
    }
    let rest = rest.trim_start_matches(BLANKS).strip_prefix('"').ok_or(LineError::Labels)?;
    let mut is_escaped = false;
    let end = rest.find(|c| {
        let ends = c == '"' && !is_escaped;
        is_escaped = c == '\\' && !is_escaped;
        ends
    });
    let (value, rest) = rest.split_at(end.ok_or(LineError::Labels)?);
    let rest = rest[1..].trim_start_matches(BLANKS);
    Ok((Label { name, value }, rest.strip_prefix(',').unwrap_or(rest)))
}

const BLANKS: [char; 2] = [' ', '\t'];

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == ':'
}

fn unescaped(value: &str) -> Cow<'_, str> {
    if !value.contains('\\') {
        return Cow::Borrowed(value);
    }
    let mut out = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match (c, c == '\\') {
            (_, true) => match chars.next() {
                Some('n') => out.push('\n'),
                Some(other) => out.push(other),
                None => {}
            },
            (c, false) => out.push(c),
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(line: &str) -> Result<Sample<'_>, LineError> {
        samples(line).next().unwrap().map_err(|error| error.problem)
    }

    #[test]
    fn a_page_is_its_samples_without_comments_and_empty_lines() {
        let page = "# HELP a b\n# TYPE a counter\na 1\r\n\n  b{} 2.5 1700000000000\nc{x=\"y\"}\t+Inf\n";
        let read: Vec<_> =
            samples(page).map(Result::unwrap).map(|s| (s.name, s.labels.as_str(), s.value)).collect();
        assert_eq!(read, [("a", "", 1.0), ("b", "", 2.5), ("c", "x=\"y\"", f64::INFINITY)]);
        assert!(one("a NaN").unwrap().value.is_nan());
        assert_eq!(one("a -1e3").unwrap().value, -1000.0);
    }

    #[test]
    fn labels_are_found_by_name_and_may_have_any_characters() {
        let sample = one(r#"a{ code = "200" , reason="a \"b\", c=\"}\\\n", empty="",} 7"#).unwrap();
        let get = |name| sample.labels.get(name).map(Cow::into_owned);
        assert_eq!(get("code").as_deref(), Some("200"));
        assert_eq!(get("reason").as_deref(), Some("a \"b\", c=\"}\\\n"));
        assert_eq!(get("empty").as_deref(), Some(""));
        assert_eq!(get("c"), None, "a text inside a value is no label");
        assert_eq!(sample.value, 7.0);
    }

    #[test]
    fn a_line_that_cannot_be_read_is_an_error_with_its_number() {
        for (line, problem) in [
            ("<html>", LineError::Name),
            ("1a 1", LineError::Name),
            ("a", LineError::Name),
            ("a\"b\" 1", LineError::Name),
            ("a{", LineError::Labels),
            ("a{b=\"c} 1", LineError::Labels),
            ("a{b=c} 1", LineError::Labels),
            ("a{=\"c\"} 1", LineError::Labels),
            ("a{b} 1", LineError::Labels),
            ("a{b=\"c\"}", LineError::Value),
            ("a{b=\"c\"} one", LineError::Value),
        ] {
            assert_eq!(one(line), Err(problem), "{line}");
        }
        let error = samples("a 1\n\nb\n").find_map(Result::err).unwrap();
        assert_eq!(error.to_string(), "line 3 has no name of a metric");
    }
}
