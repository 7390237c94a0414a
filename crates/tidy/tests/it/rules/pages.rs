//! The book in docs/: SUMMARY.md lists every page, and what a page quotes from the log is what the gateway writes.

use std::collections::BTreeSet;

use crate::findings::Findings;
use crate::reading::markdown::{lines, links};
use crate::reading::tree;

const SUMMARY: &str = "docs/SUMMARY.md";

/// Pages whose tables quote lines of the log, or faults of a start, in their first column under this heading.
const QUOTING: &str = "docs/troubleshooting.md";
const HEADING: &str = "the line";

#[test]
fn the_summary_lists_every_page_once() -> Result<(), Findings> {
    let mut findings = Findings::of("summary");
    let summary = tree::file(SUMMARY).map_or("", |file| file.text.as_str());
    let mut listed = BTreeSet::new();
    for (line, link) in links(summary) {
        if !listed.insert(format!("docs/{link}")) {
            findings.add(SUMMARY, line, format!("{link} is listed twice"));
        }
    }
    for page in tree::files_below("docs").filter(|file| file.is_markdown() && file.path != SUMMARY) {
        if !listed.contains(&page.path) {
            findings.add(&page.path, 1, format!("{SUMMARY} does not list this page"));
        }
    }
    findings.outcome()
}

#[test]
fn each_line_that_troubleshooting_quotes_is_one_that_the_gateway_writes() -> Result<(), Findings> {
    let mut findings = Findings::of("quoted lines");
    let page = tree::file(QUOTING).map_or("", |file| file.text.as_str());
    let sources: Vec<String> =
        tree::files_below("crates").filter(|file| file.is_rust()).map(|file| joined(&file.text)).collect();
    let mut is_quoting = false;
    let mut quoted = 0;
    for (number, line, _) in lines(page) {
        let first = line.strip_prefix("| ").and_then(|row| row.split(" | ").next());
        let Some(first) = first else {
            is_quoting &= line.starts_with('|');
            continue;
        };
        if first == HEADING {
            is_quoting = true;
        } else if is_quoting {
            quoted += 1;
            let text = first.trim_matches('`');
            if !sources.iter().any(|source| source.contains(text)) {
                findings.add(
                    QUOTING,
                    number,
                    format!("no source and no test has \"{text}\": quote it as it is written"),
                );
            }
        }
    }
    assert!(quoted >= 20, "only {quoted} lines are quoted in {QUOTING}");
    findings.outcome()
}

/// Without the line breaks of literals that go on in the next line.
fn joined(text: &str) -> String {
    text.split("\\\n").map(str::trim_start).collect()
}
