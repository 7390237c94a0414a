//! Which crate may depend on what, and that nothing is depended on in vain.

use std::collections::BTreeSet;

use crate::findings::Findings;
use crate::reading::imports::{declarations, paths};
use crate::reading::manifest::{Dependency, Use, dependencies, locked};
use crate::reading::markdown::quoted_in_column;
use crate::reading::rust::words;
use crate::reading::tree::{self, File};

/// Crates that know no I/O, with what they may not depend on, not even by way of another crate.
const FORBIDDEN: &[(&str, &[&str])] = &[
    ("wrp", &["tokio", "hyper", "rustls", "serde_json"]),
    ("talaria-protocol", &["tokio", "hyper", "rustls"]),
];

/// What the standard library and `jiff` have of I/O and clocks. Durations, addresses and given times are only values.
const IO: &[&str] = &[
    "std::fs",
    "std::env",
    "std::process",
    "std::thread",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "Instant::now",
    "SystemTime::now",
    "Timestamp::now",
    "Zoned::now",
    "TimeZone::system",
];

/// Crates whose name may stand only in these files, with the reason.
const CONFINED: &[(&str, &[(&str, &str)])] = &[(
    "rdkafka",
    &[
        ("crates/wrpkafka/src/client", "the client is what knows librdkafka"),
        ("crates/wrpkafka/src/mock", "the mock cluster is librdkafka's own"),
        ("crates/wrpkafka/benches/throughput.rs", "measures librdkafka bare, beside ours"),
        ("crates/wrpkafka/tests", "tests read the topics back"),
        ("crates/talaria-sim/tests", "tests write the topics that are read"),
        ("crates/talaria-sim/src/kafka.rs", "reads a topic: a consumer, which wrpkafka is not"),
    ],
)];

/// Dependencies that no source names, with the reason why they are there nevertheless.
const UNNAMED: &[(&str, &str, &str)] = &[];

#[test]
fn crates_without_io_depend_on_none_that_has_it() -> Result<(), Findings> {
    let mut findings = Findings::of("dependencies of crates without I/O");
    for (krate, forbidden) in FORBIDDEN {
        let Some(manifest) = manifest_of(krate) else { continue };
        for dependency in dependencies(manifest).iter().filter(|found| found.used_for == Use::Normal) {
            for name in reached(&dependency.name).iter().filter(|name| forbidden.contains(&name.as_str())) {
                let what = format!(
                    "{krate} may not depend on {name}, which {} brings: leave it out",
                    dependency.name
                );
                findings.add(&manifest.path, dependency.line, what);
            }
        }
    }
    findings.outcome()
}

#[test]
fn crates_without_io_open_nothing_and_read_no_clock() -> Result<(), Findings> {
    let mut findings = Findings::of("I/O in crates without it");
    let folders = FORBIDDEN.iter().map(|(krate, _)| format!("crates/{krate}/src"));
    for file in folders.flat_map(|folder| tree::files_below(&folder).collect::<Vec<_>>()) {
        let source = file.source();
        for name in IO {
            for offset in words(&source.production, name) {
                let what =
                    format!("{name} in a crate without I/O and clock: let the caller pass in the value");
                findings.add(&file.path, source.line(offset), what);
            }
        }
    }
    findings.outcome()
}

#[test]
fn librdkafka_is_known_to_the_client_alone() -> Result<(), Findings> {
    let mut findings = Findings::of("rdkafka");
    for (krate, places) in CONFINED {
        let allowed = |path: &str| places.iter().any(|(place, _)| path.starts_with(place));
        for file in tree::files().iter().filter(|file| file.is_rust() && !allowed(&file.path)) {
            let source = file.source();
            for offset in named(&source.code, krate) {
                let what = format!("{krate} is known to {} alone: use what that offers", places[0].0);
                findings.add(&file.path, source.line(offset), what);
            }
        }
    }
    findings.outcome()
}

#[test]
fn each_dependency_is_used_where_it_is_declared() -> Result<(), Findings> {
    let mut findings = Findings::of("unused dependencies");
    for manifest in manifests() {
        let folder = manifest.path.trim_end_matches("Cargo.toml").trim_end_matches('/');
        let production: Vec<&File> = sources(folder, &["src", "fuzz_targets"]).collect();
        let tests: Vec<&File> = sources(folder, &["src", "tests", "benches", "examples"]).collect();
        let build: Vec<&File> = sources(folder, &["build.rs"]).collect();
        for dependency in dependencies(manifest) {
            let identifier = dependency.identifier();
            let names = |files: &[&File], code: fn(&File) -> &str| {
                files.iter().any(|file| named(code(file), &identifier).next().is_some())
            };
            let (is_used, place) = match dependency.used_for {
                Use::Normal => (names(&production, |file| &file.source().production), "what is not a test"),
                Use::Dev => (names(&tests, |file| &file.source().code), "its tests, benches and examples"),
                Use::Build => (names(&build, |file| &file.source().code), "build.rs"),
                Use::Workspace => continue,
            };
            let excepted =
                UNNAMED.iter().any(|(krate, name, _)| folder.ends_with(krate) && *name == dependency.name);
            if !is_used && !excepted {
                let what = format!(
                    "{} is not used in {place}: remove it, or move it to where it is used",
                    dependency.name
                );
                findings.add(&manifest.path, dependency.line, what);
            }
        }
    }
    findings.outcome()
}

#[test]
fn each_dependency_of_the_workspace_is_used_and_has_its_reason() -> Result<(), Findings> {
    let mut findings = Findings::of("reasons of dependencies");
    let Some(workspace) = tree::file("Cargo.toml") else { return findings.outcome() };
    let used: BTreeSet<String> = manifests()
        .flat_map(dependencies)
        .filter(|dependency| dependency.used_for != Use::Workspace)
        .map(|dependency| dependency.name)
        .collect();
    let justified = justified();
    let declared: Vec<Dependency> = dependencies(workspace);
    for dependency in &declared {
        let name = &dependency.name;
        if !used.contains(name) {
            findings.add("Cargo.toml", dependency.line, format!("no crate uses {name}: remove it"));
        }
        if !dependency.is_path && !justified.iter().any(|(_, there)| there == name) {
            let what =
                format!("{name} has no line under \"Dependencies\" in ARCHITECTURE.md: say what it is for");
            findings.add("Cargo.toml", dependency.line, what);
        }
    }
    for (line, name) in &justified {
        if !declared.iter().any(|dependency| dependency.name == *name) {
            findings.add("ARCHITECTURE.md", *line, format!("{name} is no dependency any more: remove it"));
        }
    }
    findings.outcome()
}

fn manifests() -> impl Iterator<Item = &'static File> {
    tree::files().iter().filter(|file| file.path.ends_with("Cargo.toml"))
}

fn manifest_of(krate: &str) -> Option<&'static File> {
    tree::file(&format!("crates/{krate}/Cargo.toml"))
}

/// The Rust sources in some folders of a package.
fn sources<'a>(package: &str, folders: &'a [&str]) -> impl Iterator<Item = &'static File> + use<'a> {
    let prefix = if package.is_empty() { String::new() } else { format!("{package}/") };
    tree::files().iter().filter(move |file| {
        let rest = file.path.strip_prefix(&prefix).filter(|_| file.is_rust());
        rest.is_some_and(|rest| folders.iter().any(|folder| rest.split('/').next() == Some(folder)))
    })
}

/// Where some code names a crate: as the start of a path, or in a `use` declaration.
fn named<'a>(code: &'a str, krate: &'a str) -> impl Iterator<Item = usize> + 'a {
    let starts = move |path: &[String]| path.first().is_some_and(|first| first == krate);
    let in_paths = paths(code).into_iter().filter(move |(path, _)| starts(path)).map(|(_, offset)| offset);
    let alone = declarations(code).filter(move |declaration| declaration.tree == krate);
    in_paths.chain(alone.map(|declaration| declaration.offset))
}

/// What a dependency brings with it: itself, and what it depends on, at any depth.
fn reached(name: &str) -> BTreeSet<String> {
    let mut reached = BTreeSet::new();
    let mut next = vec![name.to_owned()];
    while let Some(name) = next.pop() {
        if !reached.insert(name.clone()) {
            continue;
        }
        match manifest_of(&name) {
            // Cargo.lock does not tell what of our own crates is for tests only.
            Some(own) => next.extend(
                dependencies(own)
                    .into_iter()
                    .filter(|found| found.used_for == Use::Normal)
                    .map(|found| found.name),
            ),
            None => next.extend(locked(&name)),
        }
    }
    reached
}

/// The names in the first column of the table of dependencies in ARCHITECTURE.md.
fn justified() -> Vec<(usize, &'static str)> {
    let text = tree::file("ARCHITECTURE.md").map_or("", |file| file.text.as_str());
    quoted_in_column(text, "Dependencies", 0)
}
