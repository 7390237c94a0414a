//! What the modules of a crate import from each other, in code that is not only for tests.
//!
//! Read are `use` declarations and paths in the code (`crate::a::B`, `super::b()`, `child::c`). A path leads to the file
//! that defines the name: a re-export is followed to its origin, and re-exporting a name without using it is no import.
//! Names that reach a module by a glob or a macro are not seen; the rules need neither.

use std::collections::BTreeMap;

use super::modules::{Module, Modules, is_continued};
use super::rust::{first_word, is_word, words};

/// One module uses something of another one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Import {
    /// Paths of the modules' files.
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) line: usize,
    /// The path that leads there, from the root of the crate.
    pub(crate) path: String,
}

/// A name that a `use` declaration brings in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Used {
    /// The name in this module.
    pub(crate) alias: String,
    /// What is written: `["super", "b", "C"]`.
    pub(crate) path: Vec<String>,
    pub(crate) is_public: bool,
    pub(crate) offset: usize,
}

/// All imports between different files of the crate.
pub(crate) fn imports(modules: &Modules) -> Vec<Import> {
    let mut all: Vec<Import> = modules.production().flat_map(|module| imports_of(modules, module)).collect();
    all.sort();
    all.dedup();
    all
}

fn imports_of(modules: &Modules, module: &Module) -> Vec<Import> {
    let source = module.file.source();
    let code = without_uses(&source.production);
    let mut found = Vec::new();
    let mut add = |path: &[String], offset: usize| {
        let target = origin(modules, path, 0);
        let target = target.filter(|target| target.file.path != module.file.path && !target.is_test);
        found.extend(target.map(|target| Import {
            from: module.file.path.clone(),
            to: target.file.path.clone(),
            line: source.line(offset),
            path: path.join("::"),
        }));
    };
    // The modules that have a name here, with their paths.
    let mut named: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for child in &module.children {
        named.insert(child.clone(), joined(&module.path, std::slice::from_ref(child)));
    }
    for name in &module.used {
        let Some(path) = absolute(modules, module, &name.path) else { continue };
        if modules.get(&path).is_some() {
            named.insert(name.alias.clone(), path);
        } else if !name.is_public || words(&code, &name.alias).next().is_some() {
            add(&path, name.offset);
        }
    }
    for (path, offset) in paths(&code) {
        let first = path.first().map_or("", String::as_str);
        if let Some(path) = absolute(modules, module, &path) {
            add(&path, offset);
        } else if let Some(prefix) = named.get(first) {
            add(&joined(prefix, &path[1..]), offset);
        }
    }
    found
}

/// The module that defines what `path` names. `None` if that is not of this crate.
fn origin<'a>(modules: &'a Modules, path: &[String], depth: usize) -> Option<&'a Module> {
    /// A chain of re-exports longer than this is a circle.
    const LONGEST_CHAIN: usize = 8;

    let (module, taken) = modules.deepest(path)?;
    let rest = &path[taken..];
    let Some(name) = rest.first().filter(|_| depth < LONGEST_CHAIN) else { return Some(module) };
    let Some(re_export) = module.used.iter().find(|used| used.alias == *name) else { return Some(module) };
    let target = absolute(modules, module, &re_export.path)?;
    origin(modules, &joined(&target, &rest[1..]), depth + 1)
}

/// A path of this crate, from its root. `None` for `std::…`, other crates, and names that only the module knows.
fn absolute(modules: &Modules, module: &Module, path: &[String]) -> Option<Vec<String>> {
    let ups = path.iter().take_while(|name| *name == "super").count();
    match path.first()?.as_str() {
        "crate" => Some(path[1..].to_vec()),
        // The binary names the library so.
        first if first == modules.krate => Some(path[1..].to_vec()),
        "self" => Some(joined(&module.path, &path[1..])),
        "super" => Some(joined(module.path.get(..module.path.len().checked_sub(ups)?)?, &path[ups..])),
        first if module.children.iter().any(|child| child == first) => Some(joined(&module.path, path)),
        _ => None,
    }
}

fn joined(prefix: &[String], rest: &[String]) -> Vec<String> {
    prefix.iter().chain(rest).cloned().collect()
}

/// The names that the `use` declarations of some code bring in.
pub(crate) fn uses(code: &str) -> Vec<Used> {
    let mut all = Vec::new();
    for declaration in declarations(code) {
        expand(declaration.tree, &[], &mut |path, alias| {
            all.push(Used { alias, path, is_public: declaration.is_public, offset: declaration.offset });
        });
    }
    all
}

/// A `use` declaration; `tree` is what stands between `use` and `;`.
pub(crate) struct Declaration<'a> {
    pub(crate) offset: usize,
    pub(crate) tree: &'a str,
    pub(crate) is_public: bool,
}

/// All `use` declarations of some code.
pub(crate) fn declarations(code: &str) -> impl Iterator<Item = Declaration<'_>> {
    words(code, "use").filter_map(|offset| {
        let rest = &code[offset + "use".len()..];
        let before = code[..offset].trim_end();
        // `use<'a>` is a bound of a type.
        let is_declaration = rest.starts_with(char::is_whitespace)
            && (before.is_empty() || before.ends_with([';', '}', '{', ']', ')']) || before.ends_with("pub"));
        let end = rest.find(';')?;
        is_declaration.then(|| Declaration {
            offset,
            tree: rest[..end].trim(),
            is_public: before.ends_with("pub") || before.ends_with(')'),
        })
    })
}

/// Calls `found` with each path of a use tree, and the name that it gets.
fn expand(tree: &str, prefix: &[String], found: &mut impl FnMut(Vec<String>, String)) {
    let tree = tree.trim();
    let (head, group) = match tree.split_once('{') {
        Some((head, rest)) => (head, rest.rsplit_once('}').map(|(group, _)| group)),
        None => (tree, None),
    };
    let (names, alias) = head.split_once(" as ").unwrap_or((head, ""));
    let mut path = prefix.to_vec();
    path.extend(names.split("::").map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned));
    if let Some(group) = group {
        for part in top_level(group) {
            expand(part, &path, found);
        }
        return;
    }
    // `{self}` is the module itself, but a leading `self::` is not.
    if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
        path.pop();
    }
    let Some(last) = path.last() else { return };
    let alias = if alias.is_empty() { last.clone() } else { alias.trim().to_owned() };
    found(path, alias);
}

/// The parts of a group, split at the commas that are not in groups of their own.
fn top_level(group: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut depth, mut from) = (0_usize, 0);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(&group[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&group[from..]);
    parts.into_iter().filter(|part| !part.trim().is_empty()).collect()
}

/// The code with its `use` declarations blanked out.
pub(crate) fn without_uses(code: &str) -> String {
    let mut bytes = code.as_bytes().to_vec();
    for declaration in declarations(code) {
        let end = code[declaration.offset..].find(';').map_or(code.len(), |end| declaration.offset + end);
        bytes[declaration.offset..end]
            .iter_mut()
            .filter(|byte| **byte != b'\n')
            .for_each(|byte| *byte = b' ');
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// All paths of two names or more, with their offsets.
pub(crate) fn paths(code: &str) -> Vec<(Vec<String>, usize)> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("::") {
        let first = code[..at]
            .rfind(|c| !is_word(c))
            .map_or(0, |before| before + code[before..].chars().next().map_or(1, char::len_utf8));
        // Only where a path begins.
        if first == at || is_continued(code, first) {
            continue;
        }
        let mut path = vec![code[first..at].to_owned()];
        let mut rest = &code[at..];
        while let Some(next) = rest.strip_prefix("::") {
            let word = first_word(next);
            if word.is_empty() {
                break;
            }
            path.push(word.to_owned());
            rest = &next[word.len()..];
        }
        found.push((path, first));
    }
    found
}

#[test]
fn a_use_declaration_is_expanded_to_the_names_that_it_brings_in() {
    let code =
        "use a::{self, b::{C, D as E}, f::*};\npub(crate) use super::g::H;\nfn x() -> impl T + use<'a> {}";
    let all: Vec<String> = uses(code)
        .iter()
        .map(|used| format!("{} {} {}", used.alias, used.path.join("::"), used.is_public))
        .collect();
    assert_eq!(
        all,
        ["a a false", "C a::b::C false", "E a::b::D false", "* a::f::* false", "H super::g::H true"]
    );
}

#[test]
fn paths_in_the_code_are_found_where_they_begin() {
    let all: Vec<String> = paths("crate::a::b(); x.y::<T>(); c::D { e: super::f }")
        .iter()
        .map(|(path, _)| path.join("::"))
        .collect();
    assert_eq!(all, ["crate::a::b", "c::D", "super::f"]);
}
