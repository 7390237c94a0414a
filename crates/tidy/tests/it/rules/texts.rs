//! Texts that other programs depend on are written once each: metric names, header names, bodies of answers.
//!
//! A text that stands in two places is changed in one of them some day. Tests may repeat it: they say what must come out.

use std::collections::BTreeMap;

use crate::findings::Findings;
use crate::reading::markdown::quoted_in_column;
use crate::reading::rust::{Literal, first_word, words};
use crate::reading::tree::{self, File};

/// The crates that make up the gateway. The simulator is another program, which speaks to any gateway.
const GATEWAY: &[&str] =
    &["crates/wrp/src", "crates/wrpkafka/src", "crates/talaria-protocol/src", "crates/talaria/src"];

/// What registers a metric; its first argument is the name.
const REGISTERING: &[&str] = &[
    "counter",
    "counter_vec",
    "gauge",
    "gauge_vec",
    "float_gauge",
    "histogram",
    "histogram_vec",
    "latency",
    "latency_vec",
];

/// The beginnings of the names of XMiDT's headers.
const HEADERS: &[&str] =
    &["x-talaria-", "x-webpa-", "x-xmidt-", "x-midt-", "x-codex-", "x-scytale-", "xmidt-"];

/// Tables of the contract that list such texts: file, heading, column.
const LISTED: &[(&str, &str, usize)] = &[
    ("docs/contract/03-api.md", "§3.7 Errors on the way to the device", 1),
    ("docs/contract/10-health-and-metrics.md", "§10.15 Drop reasons", 0),
];

/// Listed texts that are common words: they stand in other places with other meanings.
const COMMON: &[&str] = &["unknown", "panic"];

/// What the contract says of metrics.
pub(super) const METRICS: &str = "docs/contract/10-health-and-metrics.md";

/// Fragments of texts that are part of the contract but are too short for [`is_sentence`].
const FIXED: &[&str] = &[
    "Basic realm=",
    "Bearer realm=",
    "\\\"code\\\": {}, \\\"message\\\"",
    "/account-id",
    "/hw-deviceid",
    "/xmidt-timestamp",
    "application/msgpack",
    "nosniff",
    "TransactionUUID",
    "QualityOfService",
    "RequestDeliveryResponse",
];

/// Sentences that stand in several files, with the reason.
const REPEATED: &[(&str, &str)] = &[];

/// Where a text stands.
struct Place {
    file: &'static str,
    line: usize,
    is_after_comma: bool,
    /// The function that registers a metric of this name here.
    registers: Option<&'static str>,
}

#[test]
fn each_metric_has_its_name_in_one_place() -> Result<(), Findings> {
    let mut findings = Findings::of("metric names");
    for (text, places) in literals() {
        let registered: Vec<&Place> = places.iter().filter(|place| place.registers.is_some()).collect();
        let Some(first) = registered.first() else { continue };
        // Where the reference has no help text, the name stands in for it, in the same call.
        let others = places.iter().filter(|place| {
            (place.file, place.line) != (first.file, first.line)
                && !(place.is_after_comma && place.file == first.file && place.line == first.line + 1)
        });
        for place in others {
            let what =
                format!("the metric {text} is registered at {}:{}: use that handle", first.file, first.line);
            findings.add(place.file, place.line, what);
        }
    }
    findings.outcome()
}

#[test]
fn each_metric_is_in_the_contract() -> Result<(), Findings> {
    let mut findings = Findings::of("documented metrics");
    let contract = tree::file(METRICS).map_or("", |file| file.text.as_str());
    for (text, places) in literals() {
        let is_documented =
            [format!("`{text}`"), format!("`{text}{{")].iter().any(|name| contract.contains(name));
        for place in places.iter().filter(|place| place.registers.is_some() && !is_documented) {
            findings.add(
                place.file,
                place.line,
                format!("{METRICS} does not have the metric {text}: describe it there"),
            );
        }
    }
    findings.outcome()
}

#[test]
fn each_text_that_the_contract_lists_is_in_one_file() -> Result<(), Findings> {
    let mut findings = Findings::of("listed texts");
    let all = literals();
    for (path, heading, column) in LISTED {
        let document = tree::file(path).map_or("", |file| file.text.as_str());
        let listed = quoted_in_column(document, heading, *column);
        if listed.is_empty() {
            findings.add(
                path,
                1,
                format!("no texts in column {column} under \"{heading}\": correct `LISTED` in this rule"),
            );
        }
        for (line, text) in listed.into_iter().filter(|(_, text)| !COMMON.contains(text)) {
            match all.get(text) {
                Some(places) => in_one_file(text, places.iter(), &mut findings),
                None => findings.add(
                    path,
                    line,
                    format!("no source has the text `{text}`: correct it here or there"),
                ),
            }
        }
    }
    findings.outcome()
}

#[test]
fn each_header_has_its_name_in_one_place() -> Result<(), Findings> {
    let mut findings = Findings::of("header names");
    let mut headers: BTreeMap<String, Vec<Place>> = BTreeMap::new();
    for (text, places) in literals() {
        let name = text.to_ascii_lowercase();
        let is_name =
            name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') && !name.ends_with('-');
        if is_name && HEADERS.iter().any(|start| name.starts_with(start)) {
            headers.entry(name).or_default().extend(places);
        }
    }
    for (name, places) in headers {
        once(&format!("the header {name}"), &places, &mut findings);
    }
    findings.outcome()
}

#[test]
fn each_text_is_in_one_file() -> Result<(), Findings> {
    let mut findings = Findings::of("texts");
    let all = literals();
    for (text, places) in &all {
        if is_sentence(text) && !REPEATED.iter().any(|(repeated, _)| repeated == text) {
            in_one_file(text, places.iter(), &mut findings);
        }
    }
    for fragment in FIXED {
        let having = all.iter().filter(|(text, _)| text.contains(fragment));
        in_one_file(fragment, having.flat_map(|(_, places)| places), &mut findings);
    }
    findings.outcome()
}

/// Whether a literal has two words or more beside its placeholders.
fn is_sentence(text: &str) -> bool {
    let is_word = |word: &&str| !word.contains('{') && word.chars().filter(|c| c.is_alphabetic()).count() > 1;
    text.split(' ').filter(is_word).count() > 1
}

fn in_one_file<'a>(text: &str, places: impl Iterator<Item = &'a Place>, findings: &mut Findings) {
    let mut first: Option<&Place> = None;
    for place in places {
        let first = first.get_or_insert(place);
        if first.file != place.file {
            let what =
                format!("\"{text}\" is already at {}:{}: let one place make it", first.file, first.line);
            findings.add(place.file, place.line, what);
        }
    }
}

fn once(what: &str, places: &[Place], findings: &mut Findings) {
    let Some((first, others)) = places.split_first() else { return };
    for place in others {
        let what = format!("{what} is already at {}:{}: use that constant", first.file, first.line);
        findings.add(place.file, place.line, what);
    }
}

/// The sources of the gateway that are not for tests.
pub(super) fn sources() -> impl Iterator<Item = &'static File> {
    let is_test = |file: &File| file.path.contains("/tests/") || file.path.ends_with("/tests.rs");
    let files = GATEWAY.iter().flat_map(|folder| tree::files_below(folder));
    files.filter(move |file| file.is_rust() && !is_test(file))
}

/// The string literals of the gateway that are not for tests, with all places of each.
fn literals() -> BTreeMap<&'static str, Vec<Place>> {
    let mut all: BTreeMap<&str, Vec<Place>> = BTreeMap::new();
    for file in sources() {
        let source = file.source();
        for literal in source.production_literals() {
            let before = source.code[..literal.offset].trim_end_matches('"').trim_end();
            let place = Place {
                file: &file.path,
                line: source.line(literal.offset),
                is_after_comma: before.ends_with(','),
                registers: registers(before),
            };
            all.entry(&literal.value).or_default().push(place);
        }
    }
    all
}

/// A call that registers a metric.
pub(super) struct Registration {
    pub(super) name: &'static str,
    /// Such as `counter_vec`.
    pub(super) function: &'static str,
    /// Empty if it is the name.
    pub(super) help: &'static str,
    /// Those that are written in the call.
    pub(super) labels: Vec<&'static str>,
}

/// The metrics of the gateway.
pub(super) fn registrations() -> Vec<Registration> {
    let mut found = Vec::new();
    for file in sources() {
        let source = file.source();
        let literals: Vec<&Literal> = source.production_literals().collect();
        for (at, literal) in literals.iter().enumerate() {
            let before = source.code[..literal.offset].trim_end_matches('"').trim_end();
            let Some(function) = registers(before) else { continue };
            let end = source.code[literal.offset..].find(')').map_or(usize::MAX, |end| literal.offset + end);
            let mut others = literals[at + 1..].iter().take_while(|other| other.offset < end);
            let help = others.next().map_or("", |help| help.value.as_str());
            let help = if help == literal.value { "" } else { help };
            let labels = others.map(|label| label.value.as_str()).collect();
            found.push(Registration { name: &literal.value, function, help, labels });
        }
    }
    found
}

/// The function that registers a metric, if the code ends in the opening of a call of one.
fn registers(before: &str) -> Option<&'static str> {
    let callee = before.strip_suffix('(')?;
    let ends_in = |name: &&&str| {
        let start = callee.len().checked_sub(name.len());
        start.is_some_and(|start| {
            words(callee, name).any(|at| at == start) && first_word(&callee[start..]) == **name
        })
    };
    REGISTERING.iter().find(ends_in).copied()
}
