//! Pages of docs/ that a rule makes: compared with what is there, or written if a developer asks for it with `UPDATE=1`.

use crate::findings::Findings;
use crate::reading::tree;

/// Holds that the page has this text.
pub(super) fn hold(path: &str, text: &str, findings: &mut Findings) {
    if tree::file(path).is_some_and(|file| file.text == text) {
        return;
    }
    if tree::is_updating() {
        tree::write(path, text);
    }
    let line = tree::file(path).map_or(1, |file| {
        let same = file.text.lines().zip(text.lines()).take_while(|(old, new)| old == new);
        same.count() + 1
    });
    findings.add(path, line, "is not up to date: UPDATE=1 cargo test -p tidy writes it");
}

/// The cells of a row of a table with so many columns, which is neither its heading nor the line below it.
pub(super) fn row<const COLUMNS: usize>(line: &str) -> Option<[&str; COLUMNS]> {
    let cells: Vec<&str> = line.strip_prefix("| ")?.strip_suffix('|')?.split(" | ").map(str::trim).collect();
    cells.try_into().ok()
}
