//! A Rust source split into code, comments and string literals, and the parts of it that are compiled for tests only.
//!
//! Enough of Rust's lexical grammar to tell these apart: nested comments, raw strings, characters and lifetimes. All
//! views have the length and the lines of the source, so that an offset in one is an offset in the others.

use std::ops::Range;

use super::tree::line_at;

/// One source file.
pub(crate) struct Source {
    text: String,
    /// The source with comments and the contents of literals blanked out.
    pub(crate) code: String,
    /// `code` without what is compiled for tests only.
    pub(crate) production: String,
    /// The comments and nothing else, with their `//`.
    pub(crate) comments: String,
    /// String literals, in their order.
    literals: Vec<Literal>,
    tests: Vec<Range<usize>>,
}

/// A string literal; `value` is what is written between its quotes, escapes as they are.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Literal {
    pub(crate) offset: usize,
    pub(crate) value: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Code,
    Comment,
    /// The contents of a string; its quotes are code.
    Text,
    /// A character with its quotes.
    Character,
}

impl Source {
    pub(crate) fn new(text: &str) -> Self {
        let spans = split(text);
        let code = keep(text, &spans, Kind::Code);
        let tests = test_ranges(&code);
        let mut production = code.clone().into_bytes();
        for range in &tests {
            blank(&mut production, range.clone());
        }
        let texts = spans.iter().filter(|(kind, _)| *kind == Kind::Text);
        let literals = texts
            .map(|(_, range)| Literal { offset: range.start, value: text[range.clone()].to_owned() })
            .collect();
        Self {
            comments: keep(text, &spans, Kind::Comment),
            production: String::from_utf8_lossy(&production).into_owned(),
            text: text.to_owned(),
            code,
            literals,
            tests,
        }
    }

    /// The comments and the contents of string literals: what is written to be read.
    pub(crate) fn prose(&self) -> String {
        let mut prose = self.comments.clone().into_bytes();
        for literal in &self.literals {
            prose[literal.offset..][..literal.value.len()].copy_from_slice(literal.value.as_bytes());
        }
        String::from_utf8_lossy(&prose).into_owned()
    }

    pub(crate) fn line(&self, offset: usize) -> usize {
        line_at(&self.text, offset)
    }

    /// The string literals that are not only for tests.
    pub(crate) fn production_literals(&self) -> impl Iterator<Item = &Literal> {
        self.literals.iter().filter(|literal| !self.is_test(literal.offset))
    }

    /// Whether the byte belongs to something that is compiled for tests only.
    pub(crate) fn is_test(&self, offset: usize) -> bool {
        self.tests.iter().any(|range| range.contains(&offset))
    }
}

/// The offsets at which a word stands in code: not as a part of a longer word.
pub(crate) fn words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    code.match_indices(word).map(|(at, _)| at).filter(move |at| {
        let before = code[..*at].chars().next_back();
        let after = code[*at + word.len()..].chars().next();
        !before.is_some_and(is_word) && !after.is_some_and(is_word)
    })
}

pub(crate) fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The word that the text starts with.
pub(crate) fn first_word(text: &str) -> &str {
    text.split(|c| !is_word(c)).next().unwrap_or_default()
}

fn split(text: &str) -> Vec<(Kind, Range<usize>)> {
    let bytes = text.as_bytes();
    let mut spans = Vec::new();
    let mut code_from = 0;
    let mut at = 0;
    while at < bytes.len() {
        let Some((kind, span)) = special(text, at) else {
            at += 1;
            continue;
        };
        spans.push((Kind::Code, code_from..span.start));
        code_from = span.end;
        // The closing quote and the hashes of a string are code: nothing begins in them.
        at = if kind == Kind::Text { closing(text, span.end) } else { span.end };
        spans.push((kind, span));
    }
    spans.push((Kind::Code, code_from..bytes.len()));
    spans
}

/// The comment, string or character that begins at a byte, if one does.
fn special(text: &str, at: usize) -> Option<(Kind, Range<usize>)> {
    let rest = text.get(at..)?;
    let first = rest.chars().next()?;
    match first {
        '/' if rest.starts_with("//") => {
            Some((Kind::Comment, at..rest.find('\n').map_or(text.len(), |end| at + end)))
        }
        '/' if rest.starts_with("/*") => Some((Kind::Comment, at..at + block_comment(rest))),
        '"' => Some((Kind::Text, text_span(text, at, 0, false))),
        'r' | 'b' | 'c' if !text[..at].chars().next_back().is_some_and(is_word) => {
            let prefix = rest.len() - rest.trim_start_matches(['r', 'b', 'c']).len();
            let is_raw = rest[..prefix].contains('r');
            let hashes = rest[prefix..].bytes().take_while(|byte| *byte == b'#').count();
            let quote = prefix + hashes;
            let is_string = prefix <= 2 && rest[quote..].starts_with('"') && (is_raw || hashes == 0);
            is_string.then(|| (Kind::Text, text_span(text, at + quote, hashes, is_raw)))
        }
        '\'' => character(rest).map(|length| (Kind::Character, at..at + length)),
        _ => None,
    }
}

/// The contents of the string whose opening quote is at `quote`.
fn text_span(text: &str, quote: usize, hashes: usize, is_raw: bool) -> Range<usize> {
    let bytes = text.as_bytes();
    let from = quote + 1;
    let mut at = from;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' if !is_raw => at += 2,
            b'"' if text[at + 1..].bytes().take(hashes).filter(|byte| *byte == b'#').count() == hashes => {
                return from..at;
            }
            _ => at += 1,
        }
    }
    from..bytes.len()
}

/// Past the closing quote and its hashes.
fn closing(text: &str, end: usize) -> usize {
    let rest = &text.as_bytes()[end..];
    end + rest.iter().enumerate().take_while(|(at, byte)| *at == 0 || **byte == b'#').count()
}

fn block_comment(rest: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < rest.len() {
        if rest.as_bytes()[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if rest.as_bytes()[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    rest.len()
}

/// The length of a character literal; `None` for a lifetime.
fn character(rest: &str) -> Option<usize> {
    let mut chars = rest.char_indices().skip(1);
    let (_, first) = chars.next()?;
    if first == '\\' {
        let escaped = chars.next()?.0;
        return rest[escaped + 1..].find('\'').map(|end| escaped + end + 2);
    }
    let (at, second) = chars.next()?;
    (second == '\'').then_some(at + 1)
}

fn keep(text: &str, spans: &[(Kind, Range<usize>)], kept: Kind) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for (_, range) in spans.iter().filter(|(kind, _)| *kind != kept) {
        blank(&mut bytes, range.clone());
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn blank(bytes: &mut [u8], range: Range<usize>) {
    bytes[range].iter_mut().filter(|byte| **byte != b'\n').for_each(|byte| *byte = b' ');
}

/// The items that stand under `#[cfg(test)]` or `#[cfg(all(test, …))]`.
fn test_ranges(code: &str) -> Vec<Range<usize>> {
    let attributes = code.match_indices("#[cfg(").filter(|(at, start)| {
        let condition = code[at + start.len()..].trim_start();
        let condition = condition.strip_prefix("all(").unwrap_or(condition);
        first_word(condition.trim_start()) == "test"
    });
    attributes.map(|(at, _)| at..item_end(code, at)).collect()
}

/// Where the item ends whose attributes begin at `from`.
fn item_end(code: &str, from: usize) -> usize {
    let bytes = code.as_bytes();
    let mut at = from;
    while let Some(start) = code[at..].find(|c: char| !c.is_whitespace()) {
        at += start;
        if !code[at..].starts_with("#[") {
            break;
        }
        at = matching(bytes, at + 1);
    }
    // A field or a variant ends at its comma; an item may have commas among its generics.
    let ends_at_comma = !is_item(first_word(&code[at..]));
    while at < bytes.len() {
        match bytes[at] {
            b'{' => return matching(bytes, at),
            b'(' | b'[' => at = matching(bytes, at),
            b';' => return at + 1,
            b',' if ends_at_comma => return at + 1,
            b'}' | b')' => return at,
            _ => at += 1,
        }
    }
    bytes.len()
}

fn is_item(word: &str) -> bool {
    const KEYWORDS: &[&str] = &[
        "pub", "fn", "mod", "use", "impl", "struct", "enum", "trait", "type", "const", "static", "async",
        "unsafe", "extern", "let",
    ];
    KEYWORDS.contains(&word)
}

/// Past the bracket that closes the one at `open`.
pub(crate) fn matching(bytes: &[u8], open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, byte) in bytes.iter().enumerate().skip(open) {
        match byte {
            b'{' | b'(' | b'[' => depth += 1,
            b'}' | b')' | b']' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at + 1;
                }
            }
            _ => {}
        }
    }
    bytes.len()
}

#[test]
fn code_comments_and_literals_are_told_apart() {
    let source = Source::new(
        "let a = \"// no \\\" comment\"; // a \"comment\"\nlet b: &'a str = r#\"raw \" text\"#; /* x /* y */ z */ let c = '\"';\n",
    );
    let values: Vec<&str> = source.production_literals().map(|literal| literal.value.as_str()).collect();
    assert_eq!(values, ["// no \\\" comment", "raw \" text"]);
    assert_eq!(
        source.comments.trim().lines().map(str::trim).collect::<Vec<_>>().join("|"),
        "// a \"comment\"|/* x /* y */ z */"
    );
    let code: Vec<&str> = source.code.split_whitespace().collect();
    assert_eq!(code.join(" "), "let a = \" \"; let b: &'a str = r#\" \"#; let c = ;");
}

#[test]
fn what_is_compiled_for_tests_only_is_no_production_code() {
    let source = Source::new(
        "#[cfg(test)]\nmod tests { fn a() {} }\n#[cfg(all(test, feature = \"x\"))]\nmod more;\nstruct S { #[cfg(test)] f: u8, g: u8 }\n#[cfg(feature = \"test\")]\nfn kept() {}\n",
    );
    let production: Vec<&str> = source.production.split_whitespace().collect();
    assert_eq!(production.join(" "), "struct S { g: u8 } #[cfg(feature = \" \")] fn kept() {}");
}
