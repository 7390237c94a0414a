//! docs/limits.md lists what bounds each queue, table and store, docs/delivery.md what is promised of each message; each test
//! that they name exists.

use crate::findings::Findings;
use crate::reading::markdown::lines;
use crate::reading::tree;

const LIMITS: &str = "docs/limits.md";
const DELIVERY: &str = "docs/delivery.md";
/// What the last column of a row says that has no test.
const WITHOUT_TEST: &str = "none";

#[test]
fn each_limit_names_a_test_that_exists() -> Result<(), Findings> {
    each_row_names_a_test("limits", LIMITS, 20)
}

#[test]
fn each_promise_of_delivery_names_a_test_that_exists() -> Result<(), Findings> {
    each_row_names_a_test("delivery", DELIVERY, 20)
}

/// Checks each row of the document's tables whose last column is `test`; it has at least so many.
fn each_row_names_a_test(name: &'static str, document: &str, least: usize) -> Result<(), Findings> {
    let mut findings = Findings::of(name);
    let text = tree::file(document).map_or("", |file| file.text.as_str());
    let mut rows = 0;
    for (number, line, _) in lines(text) {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [what, .., named] = cells[..] else { continue };
        if named == "test" || !line.starts_with("| ") {
            continue;
        }
        rows += 1;
        if let Some(problem) = problem_of(named) {
            findings.add(document, number, format!("{what}: {problem}"));
        }
    }
    assert!(rows >= least, "{rows} rows were found in {document}");
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
