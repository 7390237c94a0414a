//! The configurations in the documents are read without a fault or a warning, but for the files that they name.

use super::*;

/// Where the repository is.
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

const DOCUMENTS: &[&str] = &[
    "README.md",
    "docs/control.md",
    "docs/kafka.md",
    "docs/moving.md",
    "docs/quick-start.md",
    "docs/security.md",
];

#[test]
fn each_configuration_in_a_document_is_right_but_for_the_files_that_it_names() {
    let mut found = 0;
    for document in DOCUMENTS {
        let text = fs::read_to_string(Path::new(ROOT).join(document)).unwrap();
        for block in blocks(&text) {
            found += 1;
            let problems = match load_text(&block, &[]) {
                Ok(loaded) => loaded.warnings.iter().map(Warning::to_string).collect(),
                Err(error) => error.to_string().lines().map(str::to_owned).collect::<Vec<_>>(),
            };
            let of_files = ["cannot be read", "was not read", "cannot be used"];
            let others: Vec<_> =
                problems.iter().filter(|line| !of_files.iter().any(|text| line.contains(text))).collect();
            assert!(others.is_empty(), "{document}: {others:#?}\nin\n{block}");
        }
    }
    assert!(found >= 8, "only {found} configurations were found");
}

/// The fenced blocks of YAML.
fn blocks(text: &str) -> Vec<String> {
    let parts = text.split("\n```yaml").skip(1);
    let block = |part: &str| Some(part.split_once('\n')?.1.split_once("\n```")?.0.to_owned());
    parts.filter_map(block).collect()
}
