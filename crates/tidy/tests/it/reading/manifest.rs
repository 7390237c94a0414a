//! The dependencies in a `Cargo.toml`, and the packages in `Cargo.lock`.

use super::tree::{File, lock};

/// What part of a package a dependency is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    Normal,
    Dev,
    Build,
    /// An entry of `[workspace.dependencies]`.
    Workspace,
}

/// One entry of a table of dependencies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    pub(crate) used_for: Use,
    pub(crate) line: usize,
    /// Whether it is a crate of this repository (`path = …`).
    pub(crate) is_path: bool,
}

impl Dependency {
    /// As sources name the crate.
    pub(crate) fn identifier(&self) -> String {
        self.name.replace('-', "_")
    }
}

/// All dependencies that a manifest names. A renamed one (`package = …`) goes by the name that sources use.
pub(crate) fn dependencies(manifest: &File) -> Vec<Dependency> {
    let mut found = Vec::new();
    let mut table = None;
    let mut depth = 0_i32;
    for (number, line) in manifest.text.lines().enumerate() {
        let text = line.split('#').next().unwrap_or_default().trim();
        let is_continued = depth > 0;
        let brackets = |c: char, by: i32| i32::try_from(text.matches(c).count()).unwrap_or_default() * by;
        if text.starts_with('[') && !is_continued {
            table = used_for(text);
            continue;
        }
        depth += brackets('[', 1) + brackets(']', -1) + brackets('{', 1) + brackets('}', -1);
        let (Some(used_for), Some((key, value))) = (table, text.split_once('=')) else { continue };
        if is_continued {
            continue;
        }
        let name = key.trim().split('.').next().unwrap_or_default();
        let is_path = value.contains("path =");
        found.push(Dependency { name: name.to_owned(), used_for, line: number + 1, is_path });
    }
    found
}

/// What Cargo.lock says that a package of that name depends on, in any of its versions.
pub(crate) fn locked(name: &str) -> Vec<String> {
    let mut found = Vec::new();
    for package in lock().split("[[package]]") {
        let is_wanted =
            package.lines().any(|line| line.strip_prefix("name = ") == Some(&format!("\"{name}\"")));
        let Some((_, list)) = package.split_once("dependencies = [").filter(|_| is_wanted) else { continue };
        let names = list.split('"').skip(1).step_by(2);
        found.extend(names.filter_map(|entry| entry.split(' ').next()).map(str::to_owned));
    }
    found
}

fn used_for(header: &str) -> Option<Use> {
    let name = header.trim_matches(['[', ']']);
    match name.rsplit_once('.').map_or(name, |(_, last)| last) {
        _ if name == "workspace.dependencies" => Some(Use::Workspace),
        "dependencies" => Some(Use::Normal),
        "dev-dependencies" => Some(Use::Dev),
        "build-dependencies" => Some(Use::Build),
        _ => None,
    }
}

#[test]
fn each_table_of_dependencies_is_read() {
    let manifest = "[package]\nname = \"x\"\n[dependencies]\na.workspace = true\nb = { path = \"../b\", features = [\n  \"c = d\",\n] }\n[target.'cfg(unix)'.dev-dependencies]\ne-f = \"1\" # g = h\n[features]\nmock = []\n";
    let file = File::new("crates/x/Cargo.toml", manifest);
    let all: Vec<String> = dependencies(&file)
        .iter()
        .map(|found| format!("{} {:?} {} {}", found.identifier(), found.used_for, found.line, found.is_path))
        .collect();
    assert_eq!(all, ["a Normal 4 false", "b Normal 5 true", "e_f Dev 9 false"]);
}
