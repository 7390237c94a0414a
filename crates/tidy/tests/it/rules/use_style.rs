//! How `use` declarations are written: one for each module that something is taken from, as rustfmt's
//! `imports_granularity = "Module"` would write them, which stable rustfmt does not know.

use std::collections::BTreeMap;

use crate::findings::Findings;
use crate::reading::imports::declarations;
use crate::reading::tree;

#[test]
fn each_use_declaration_names_one_module() -> Result<(), Findings> {
    let mut findings = Findings::of("use declarations");
    for file in tree::files().iter().filter(|file| file.is_rust()) {
        let source = file.source();
        // By the module, where the block ends in which the declaration stands, and whether it is public.
        let mut seen: BTreeMap<(String, usize, bool), usize> = BTreeMap::new();
        for declaration in declarations(&source.code) {
            let line = source.line(declaration.offset);
            let tree = &declaration.tree;
            let (module, group) = tree.split_once("::{").unwrap_or((tree, ""));
            if group.contains("::") {
                let what = format!(
                    "takes from several modules in one `use`: write one for each module below {module}"
                );
                findings.add(&file.path, line, what);
                continue;
            }
            let module = if group.is_empty() {
                module.rsplit_once("::").map_or("", |(module, _)| module)
            } else {
                module
            };
            // `use std::fs; use std::io;` take modules, and have a line each.
            if !module.contains("::") || has_attribute(&source.code, declaration.offset) {
                continue;
            }
            let key = (module.to_owned(), block_end(&source.code, declaration.offset), declaration.is_public);
            if let Some(earlier) = seen.insert(key, line) {
                findings.add(
                    &file.path,
                    line,
                    format!("takes from {module}, as line {earlier} does: merge the two"),
                );
            }
        }
    }
    findings.outcome()
}

/// Where the block ends that surrounds the byte.
fn block_end(code: &str, offset: usize) -> usize {
    let mut depth = 0_i32;
    for (at, byte) in code.bytes().enumerate().skip(offset) {
        match byte {
            b'{' => depth += 1,
            b'}' if depth == 0 => return at,
            b'}' => depth -= 1,
            _ => {}
        }
    }
    code.len()
}

/// Whether the declaration has an attribute: it cannot be merged with one that has none.
fn has_attribute(code: &str, offset: usize) -> bool {
    let before = code[..offset].trim_end();
    let before = before.strip_suffix("pub").unwrap_or(before).trim_end();
    before.ends_with(']')
}
