//! Links of documents that lead to files of the repository.

use crate::findings::Findings;
use crate::reading::markdown::{anchors, links};
use crate::reading::tree;

#[test]
fn each_relative_link_of_a_document_leads_somewhere() -> Result<(), Findings> {
    let mut findings = Findings::of("links");
    for file in tree::files().iter().filter(|file| file.is_markdown()) {
        for (line, link) in links(&file.text) {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if path.is_empty() { file.path.clone() } else { beside(&file.path, path) };
            if !tree::exists(&target) {
                findings.add(&file.path, line, format!("there is no {target}: correct the link to {link}"));
                continue;
            }
            let document = tree::file(&target).filter(|target| target.is_markdown());
            let has_anchor = |text: &str| anchors(text).iter().any(|there| there == anchor);
            if !anchor.is_empty() && document.is_some_and(|document| !has_anchor(&document.text)) {
                findings.add(&file.path, line, format!("{target} has no heading for #{anchor}"));
            }
        }
    }
    findings.outcome()
}

/// A path as written in `document`, from the root of the repository.
fn beside(document: &str, path: &str) -> String {
    let mut parts: Vec<&str> = document.split('/').collect();
    parts.pop();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}
