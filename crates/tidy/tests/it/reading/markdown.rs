//! Headings, links and fenced blocks of a Markdown file.

use std::collections::BTreeMap;

/// A heading with its level, its text without the `#`, and its line from 1.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Heading<'a> {
    pub(crate) level: usize,
    pub(crate) text: &'a str,
    pub(crate) line: usize,
}

/// The lines of a file, each with whether it stands in a fenced block (its fences included).
pub(crate) fn lines(text: &str) -> impl Iterator<Item = (usize, &str, bool)> {
    let mut is_fenced = false;
    text.lines().enumerate().map(move |(number, line)| {
        let is_fence = line.trim_start().starts_with("```");
        is_fenced ^= is_fence;
        (number + 1, line, is_fenced || is_fence)
    })
}

/// The headings, without what stands in fenced blocks.
pub(crate) fn headings(text: &str) -> impl Iterator<Item = Heading<'_>> {
    lines(text).filter(|(_, _, is_fenced)| !is_fenced).filter_map(|(line, text, _)| {
        let level = text.bytes().take_while(|byte| *byte == b'#').count();
        let heading = text[level..].strip_prefix(' ')?;
        (level > 0).then(|| Heading { level, text: heading.trim(), line })
    })
}

/// The anchors that links can name: as GitHub makes them from headings, and those written as `<a id="…">`.
pub(crate) fn anchors(text: &str) -> Vec<String> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut anchors: Vec<String> = headings(text)
        .map(|heading| {
            let name = anchor(heading.text);
            let repeated = seen.entry(name.clone()).or_default();
            *repeated += 1;
            if *repeated == 1 { name } else { format!("{name}-{}", *repeated - 1) }
        })
        .collect();
    for start in ["<a id=\"", "<a name=\""] {
        anchors.extend(text.split(start).skip(1).filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())));
    }
    anchors
}

/// Lower case, spaces as hyphens, and of all other characters only letters, digits, `-` and `_`. Of a link its text.
fn anchor(heading: &str) -> String {
    let mut text = String::new();
    let mut rest = heading;
    while let Some((before, after)) = rest.split_once("](") {
        text.push_str(before);
        rest = after.split_once(')').map_or("", |(_, rest)| rest);
    }
    text.push_str(rest);
    text.to_lowercase()
        .chars()
        .filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c))
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

/// The targets of links, `[text](target)` and `[name]: target`, each with its line.
pub(crate) fn links(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    for (number, line, is_fenced) in lines(text) {
        if is_fenced {
            continue;
        }
        let is_code = |at: usize| line[..at].matches('`').count() % 2 == 1;
        for (at, start) in line.match_indices("](").filter(|(at, _)| !is_code(*at)) {
            let target = &line[at + start.len()..];
            found.push((number, target.split([')', ' ']).next().unwrap_or_default()));
        }
        if let Some((_, target)) = line.strip_prefix('[').and_then(|rest| rest.split_once("]: ")) {
            found.push((number, target.split(' ').next().unwrap_or_default()));
        }
    }
    found
}

/// What stands in backticks in one column of the tables under a heading, each with its line.
pub(crate) fn quoted_in_column<'a>(text: &'a str, heading: &str, column: usize) -> Vec<(usize, &'a str)> {
    let rows = rows_below(text, heading).into_iter();
    rows.filter_map(|(line, cells)| Some((line, *cells.get(column)?)))
        .flat_map(|(line, cell)| cell.split('`').skip(1).step_by(2).map(move |text| (line, text)))
        .collect()
}

/// The cells of each row of the tables under a heading, each row with its line.
pub(crate) fn rows_below<'a>(text: &'a str, heading: &str) -> Vec<(usize, Vec<&'a str>)> {
    let found = headings(text).find(|found| found.text == heading);
    let Some((start, level)) = found.map(|found| (found.line, found.level)) else { return Vec::new() };
    let next = headings(text).find(|next| next.line > start && next.level <= level);
    let end = next.map_or(usize::MAX, |next| next.line);
    lines(text)
        .filter(|(line, text, _)| (start..end).contains(line) && text.starts_with('|'))
        // What a row has before its first `|` is empty.
        .map(|(line, row, _)| (line, row.split('|').skip(1).map(str::trim).collect()))
        .collect()
}

#[test]
fn anchors_are_those_that_github_makes() {
    let text = "# A `code` heading, and more!\n```\n# not one\n```\n## §2.9 The [link](x.md)\n## Twice\n## Twice\n<a id=\"own\"></a>\n";
    assert_eq!(anchors(text), ["a-code-heading-and-more", "29-the-link", "twice", "twice-1", "own"]);
}

#[test]
fn links_are_found_outside_of_code() {
    let text = "[a](b.md#c) `[x](y)` and ![i](j.png \"title\")\n```\n[n](o)\n```\n[ref]: z.md\n";
    assert_eq!(links(text), [(1, "b.md#c"), (1, "j.png"), (5, "z.md")]);
}

#[test]
fn a_column_of_a_table_ends_with_its_section() {
    let text = "## A\n| `x` | `y`, `z` |\n### B\n| no | `w` |\n## C\n| `a` | `b` |\n";
    assert_eq!(quoted_in_column(text, "A", 1), [(2, "y"), (2, "z"), (4, "w")]);
}
