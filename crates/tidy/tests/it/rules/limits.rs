//! docs/limits.md lists what bounds each queue, table and store; each test that it names exists.

use crate::findings::Findings;
use crate::reading::markdown::lines;
use crate::reading::tree;

const DOCUMENT: &str = "docs/limits.md";
/// What the last column of a row says that has no test.
const WITHOUT_TEST: &str = "none";

#[test]
fn each_limit_names_a_test_that_exists() -> Result<(), Findings> {
    let mut findings = Findings::of("limits");
    let text = tree::file(DOCUMENT).map_or("", |file| file.text.as_str());
    let mut rows = 0;
    for (number, line, _) in lines(text) {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [store, .., named] = cells[..] else { continue };
        if store == "store" || !line.starts_with("| ") {
            continue;
        }
        rows += 1;
        if let Some(problem) = problem_of(named) {
            findings.add(DOCUMENT, number, format!("{store}: {problem}"));
        }
    }
    assert!(rows > 20, "{rows} rows were found in {DOCUMENT}");
    findings.outcome()
}

/// What is wrong with the last column of a row.
fn problem_of(named: &str) -> Option<String> {
    if named.starts_with(WITHOUT_TEST) {
        return None;
    }
    let Some((path, function)) = named.trim_matches('`').rsplit_once("::") else {
        return Some(format!("{named} is not `path/of/file.rs::name_of_the_test`"));
    };
    match tree::file(path) {
        None => Some(format!("there is no {path}: name the file that has {function}")),
        Some(file) if !file.text.contains(&format!("fn {function}(")) => {
            Some(format!("{path} has no test {function}: name the test that reaches this bound"))
        }
        Some(_) => None,
    }
}
