//! A comment that names a section as its source names one that exists.
//!
//! `contract §8.4` leads to the heading `## §8.4 …` in `docs/contract/`. Lists (`contract §14.11, §5.2 and §15`) belong
//! to the document named at their start. Sections of RFCs are not checked, but a section of nothing is a finding.

use std::collections::BTreeMap;

use crate::findings::{Findings, announce};
use crate::reading::markdown::headings;
use crate::reading::tree::{self, File, line_at};

/// Where the contract is. In these files a bare `§8.4` is the contract's.
const CONTRACT: &str = "docs/contract";

/// What stands between the citations of a list.
const SEPARATORS: &[&str] = &["", ",", ";", "and", "or", "to", ", and", ", or", "/", "–"];

/// The document that a citation names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Document {
    Contract,
    /// An RFC or the like, which is not in the tree.
    Foreign,
    Unnamed,
}

#[derive(Debug, PartialEq, Eq)]
struct Citation {
    document: Document,
    section: String,
    offset: usize,
}

#[test]
fn each_cited_section_of_the_contract_exists() -> Result<(), Findings> {
    let mut findings = Findings::of("citations");
    let sections = sections(&mut findings);
    let mut resolved = BTreeMap::new();
    // This crate's tests cite sections that do not exist.
    for file in tree::files().iter().filter(|file| !file.path.starts_with("crates/tidy/")) {
        for citation in citations(file) {
            let section = &citation.section;
            let line = line_at(&file.text, citation.offset);
            match citation.document {
                Document::Foreign => {}
                Document::Contract if sections.contains_key(section) => {
                    *resolved.entry(section.clone()).or_insert(0_usize) += 1;
                }
                Document::Contract => findings.add(
                    &file.path,
                    line,
                    format!("no heading of {CONTRACT} begins with §{section}: cite another one, or write it"),
                ),
                Document::Unnamed => findings.add(
                    &file.path,
                    line,
                    format!(
                        "§{section} of which document? Write `contract §{section}` or `RFC … §{section}`"
                    ),
                ),
            }
        }
    }
    let count: usize = resolved.values().sum();
    announce(&format!("{count} citations of {} sections of the contract resolved", resolved.len()));
    findings.outcome()
}

/// The sections that the contract has headings for, with where they are.
fn sections(findings: &mut Findings) -> BTreeMap<String, String> {
    let mut sections = BTreeMap::new();
    for file in tree::files_below(CONTRACT).filter(|file| file.is_markdown()) {
        for heading in headings(&file.text) {
            let Some(section) = heading.text.strip_prefix('§').map(number) else { continue };
            let place = format!("{}:{}", file.path, heading.line);
            if let Some(other) = sections.insert(section.to_owned(), place) {
                let what = format!("§{section} is a heading at {other}, too: number one of them anew");
                findings.add(&file.path, heading.line, what);
            }
        }
    }
    sections
}

fn citations(file: &File) -> Vec<Citation> {
    let text = &file.text;
    let mut found: Vec<Citation> = Vec::new();
    let mut end = 0;
    for (offset, sign) in text.match_indices('§') {
        let section = number(&text[offset + sign.len()..]);
        if section.is_empty() {
            continue;
        }
        let between = plain(&text[end..offset]);
        let after = &text[offset + sign.len() + section.len()..];
        let document = match found.last() {
            _ if is_link_to_contract(after) => Document::Contract,
            Some(previous) if SEPARATORS.contains(&between.trim()) => previous.document,
            _ => document_before(file, &between),
        };
        end = offset + sign.len() + section.len();
        found.push(Citation { document, section: section.to_owned(), offset });
    }
    found
}

/// `](contract/14-what-we-do-better.md)`, after the number in a link's text.
fn is_link_to_contract(after: &str) -> bool {
    let target = after.strip_prefix("](").and_then(|target| target.split(')').next());
    target.is_some_and(|target| target.contains("contract/"))
}

fn document_before(file: &File, before: &str) -> Document {
    let before = before.trim_end_matches([' ', '[', '(', '`', '"']);
    let is_foreign = |word: &str| word.contains("RFC") || word.contains("KIP") || word == "specification";
    let mut words = before.rsplit([' ', '(', '`']).filter(|word| !word.is_empty());
    if before.to_ascii_lowercase().ends_with("contract") || before.ends_with("contract's") {
        Document::Contract
    } else if words.next().is_some_and(is_foreign) || words.next().is_some_and(is_foreign) {
        Document::Foreign
    } else if file.path.starts_with(CONTRACT) {
        Document::Contract
    } else {
        Document::Unnamed
    }
}

/// `14.19` of `14.19: …`.
fn number(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    text[..end].trim_end_matches('.')
}

/// The text on one line, without the marks of comments.
fn plain(text: &str) -> String {
    let lines = text.lines().map(|line| line.trim().trim_start_matches(['/', '!', '#', '*']).trim());
    let joined = lines.collect::<Vec<_>>().join(" ");
    if text.ends_with(' ') { joined + " " } else { joined }
}

#[test]
fn a_list_of_citations_belongs_to_the_document_at_its_start() {
    let text = "// As contract §14.11, §5.2\n// and §15 want it. RFC 6455 §5.5.1; Contract §2.9.\n// §3\n";
    let cited = citations(&File::new("x.rs", text));
    let cited: Vec<_> = cited.iter().map(|citation| (citation.document, citation.section.as_str())).collect();
    use Document::{Contract, Foreign, Unnamed};
    let expected = [
        (Contract, "14.11"),
        (Contract, "5.2"),
        (Contract, "15"),
        (Foreign, "5.5.1"),
        (Contract, "2.9"),
        (Unnamed, "3"),
    ];
    assert_eq!(cited, expected);
}
