//! The layers of each crate point one way, and no files import each other in a circle of more than two.
//!
//! ARCHITECTURE.md lists the layers under "Layers", one heading a crate, one layer a line, the lowest first. A module
//! may use those of the lines above it; modules of one line do not use each other. What a line has after two spaces is
//! for the reader. `lib.rs` and `main.rs` are above all layers.

use std::collections::{BTreeMap, BTreeSet};

use crate::findings::Findings;
use crate::reading::graph::circles;
use crate::reading::imports::{Import, imports};
use crate::reading::markdown::{headings, lines};
use crate::reading::modules::Modules;
use crate::reading::tree;

const DOCUMENT: &str = "ARCHITECTURE.md";

/// Crates for tests are small and have no layers.
const WITHOUT_LAYERS: &[&str] = &["tidy", "vectors", "realkafka"];

/// Where a module stands in the list of its crate's layers.
#[derive(Clone, Copy)]
struct Place {
    layer: usize,
    line: usize,
}

/// The layers of one crate: modules, as `engine` or `engine/backlog`, and where they stand.
type Layers = BTreeMap<String, Place>;

#[test]
fn modules_import_only_from_layers_below_theirs() -> Result<(), Findings> {
    let mut findings = Findings::of("layers");
    let listed = listed_layers();
    for krate in crates() {
        let modules = Modules::of(krate);
        let Some(layers) = listed.get(krate) else {
            let what =
                format!("{DOCUMENT} has no heading `{krate}` under \"Layers\": list the crate's layers");
            findings.add(&format!("crates/{krate}/src/lib.rs"), 1, what);
            continue;
        };
        let module_paths: Vec<String> = modules.iter().map(|module| module.path.join("/")).collect();
        for (name, place) in layers.iter().filter(|(name, _)| !module_paths.contains(name)) {
            findings.add(
                DOCUMENT,
                place.line,
                format!("{krate} has no module {name}: correct the list of layers"),
            );
        }
        for module in modules.production().filter(|module| module.path.len() == 1) {
            if layer_of(layers, krate, &module.file.path).is_none() {
                let what =
                    format!("{} stands in no layer of {DOCUMENT}: give it a place there", module.name());
                findings.add(&module.file.path, 1, what);
            }
        }
        for import in imports(&modules) {
            check(layers, krate, &import, &mut findings);
        }
    }
    findings.outcome()
}

#[test]
fn no_more_than_two_files_import_each_other_in_a_circle() -> Result<(), Findings> {
    let mut findings = Findings::of("circles");
    for krate in crates() {
        let all = imports(&Modules::of(krate));
        let edges = all.iter().map(|import| (import.from.as_str(), import.to.as_str()));
        for circle in circles(edges).into_iter().filter(|circle| circle.len() > 2) {
            let inside = |import: &&Import| {
                circle.contains(&import.from.as_str()) && circle.contains(&import.to.as_str())
            };
            let mut seen = BTreeSet::new();
            for import in all.iter().filter(inside) {
                if seen.insert((&import.from, &import.to)) {
                    let what = format!(
                        "in a circle of {} files, imports {} ({}): move what both need below them",
                        circle.len(),
                        import.to,
                        import.path
                    );
                    findings.add(&import.from, import.line, what);
                }
            }
        }
    }
    findings.outcome()
}

fn crates() -> impl Iterator<Item = &'static str> {
    tree::crates().into_iter().filter(|krate| !WITHOUT_LAYERS.contains(krate))
}

fn check(layers: &Layers, krate: &str, import: &Import, findings: &mut Findings) {
    let Some((from, place)) = layer_of(layers, krate, &import.from) else { return };
    let Some((to, below)) = layer_of(layers, krate, &import.to) else {
        let what = format!("imports {} from the crate's root: name the module that defines it", import.path);
        return findings.add(&import.from, import.line, what);
    };
    if from != to && below.layer >= place.layer {
        let relation = if below.layer == place.layer { "beside" } else { "above" };
        let what = format!(
            "{from} imports {} from {to}, which is {relation} it in the layers of {krate} in {DOCUMENT}: move what is \
             shared below both",
            import.path
        );
        findings.add(&import.from, import.line, what);
    }
}

/// The layer of a file: that of the module with the longest name that the file is in.
fn layer_of<'a>(layers: &'a Layers, krate: &str, file: &str) -> Option<(&'a str, Place)> {
    let path = file.strip_prefix(&format!("crates/{krate}/src/"))?.strip_suffix(".rs")?;
    let is_in =
        |name: &str| path.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let found = layers.iter().filter(|(name, _)| is_in(name)).max_by_key(|(name, _)| name.len())?;
    Some((found.0, *found.1))
}

/// The layers of all crates, as ARCHITECTURE.md lists them.
fn listed_layers() -> BTreeMap<&'static str, Layers> {
    let text = tree::file(DOCUMENT).map_or("", |file| file.text.as_str());
    let section = |heading: &str| headings(text).find(|found| found.text == heading).map(|found| found.line);
    let mut listed: BTreeMap<&str, Layers> = BTreeMap::new();
    let Some(start) = section("Layers") else { return listed };
    let end = headings(text)
        .find(|found| found.level <= 2 && found.line > start)
        .map_or(usize::MAX, |found| found.line);
    let mut krate = "";
    for (line, content, is_fenced) in lines(text).filter(|(line, ..)| (start..end).contains(line)) {
        if let Some(heading) = content.strip_prefix("### ") {
            krate = heading.trim().trim_matches('`');
        } else if is_fenced && !content.starts_with("```") {
            let names = content.split_once("  ").map_or(content, |(names, _)| names);
            let layers = listed.entry(krate).or_default();
            for name in names.split(',').map(str::trim).filter(|name| !name.is_empty()) {
                layers.insert(name.to_owned(), Place { layer: line, line });
            }
        }
    }
    listed
}
