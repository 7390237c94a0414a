//! Each invariant in ARCHITECTURE.md names the test that holds it, and that test exists.

use crate::findings::Findings;
use crate::reading::markdown::lines;
use crate::reading::tree;

const DOCUMENT: &str = "ARCHITECTURE.md";

#[test]
fn each_invariant_names_a_test_that_exists() -> Result<(), Findings> {
    let mut findings = Findings::of("invariants");
    for (line, invariant) in invariants() {
        let named: Vec<&str> = invariant.split('`').skip(1).step_by(2).filter_map(test_name).collect();
        if named.is_empty() {
            let what =
                "this invariant names no test: end it with \"held by `path/of/file.rs::name_of_the_test`\"";
            findings.add(DOCUMENT, line, what);
        }
        for name in named {
            let (path, function) = name.rsplit_once("::").unwrap_or((name, ""));
            let declaration = format!("fn {function}(");
            match tree::file(path) {
                None => findings.add(
                    DOCUMENT,
                    line,
                    format!("there is no {path}: name the file that has {function}"),
                ),
                Some(file) if !file.text.contains(&declaration) => {
                    findings.add(
                        DOCUMENT,
                        line,
                        format!("{path} has no `{declaration}…)`: name the test that holds this"),
                    );
                }
                Some(_) => {}
            }
        }
    }
    findings.outcome()
}

/// The items of the list under "Invariants", each on one line, with where they begin.
fn invariants() -> Vec<(usize, String)> {
    let text = tree::file(DOCUMENT).map_or("", |file| file.text.as_str());
    let section = lines(text)
        .skip_while(|(_, line, _)| *line != "## Invariants")
        .skip(1)
        .take_while(|(_, line, _)| !line.starts_with("## "));
    let mut items: Vec<(usize, String)> = Vec::new();
    for (number, line, _) in section {
        if let Some(item) = line.strip_prefix("- ") {
            items.push((number, item.to_owned()));
        } else if let (Some((_, item)), true) = (items.last_mut(), line.starts_with(' ')) {
            item.push(' ');
            item.push_str(line.trim());
        }
    }
    items
}

/// `path/of/file.rs::name`, if the quoted text is one.
fn test_name(quoted: &str) -> Option<&str> {
    quoted.contains(".rs::").then_some(quoted)
}
