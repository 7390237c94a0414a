//! Names and prose in plain English: what CONTRIBUTING.md says about words, as far as a machine can see it.

use crate::findings::Findings;
use crate::reading::rust::{first_word, is_word, words};
use crate::reading::tree::{self, File, line_at};

/// Phrases that make a reader guess, with what to write instead; `*` is any word.
const PHRASES: &[(&str, &str)] = &[
    ("is none that", "say what it is not: \"was not accepted\""),
    ("is none of", "say what it is not"),
    ("are none that", "say what they are not"),
    ("whoever", "name who: the caller, the device, the operator"),
    ("whomever", "name who"),
    ("is told", "say who reports what to whom: \"the listener receives\", \"is reported\""),
    ("are told", "say who reports what to whom"),
    ("be told", "say who reports what to whom"),
    ("was told", "say who reports what to whom"),
    ("it is looked", "say who checks what and when"),
    ("is looked at", "\"is checked\", \"is read\""),
    ("is looked for", "\"is searched\""),
    ("nobody", "name who does not: \"no caller\", \"no task\""),
    ("somebody", "name who"),
    ("everybody", "name who: \"all devices\""),
    ("anybody", "name who"),
    ("takes not", "\"rejects\", \"does not accept\""),
    ("take not", "\"reject\", \"do not accept\""),
    ("takes * not", "\"rejects the message\", \"does not accept it\""),
    ("take * not", "\"reject\", \"do not accept\""),
    ("knows not", "\"does not know\""),
    ("comes to nothing", "say what fails"),
    ("gets past", "say which check does not find it"),
    ("is borne", "\"is allowed\", \"is tolerated\""),
    ("one hopes", "say what is expected"),
    ("is odd", "say what is wrong"),
    ("goes nowhere", "say what happens to it: \"is dropped\""),
    ("went nowhere", "say what happened to it: \"was dropped\""),
    ("its fate", "its outcome"),
    ("the fate of", "the outcome of"),
    ("beyond use", "\"failed\", \"cannot be used any more\""),
    ("waiting room", "backlog"),
    ("buried", "\"written to the dead-letter topic\""),
];

/// Names of types that are parables or too wide, with what was chosen instead.
const NAMES: &[(&str, &str)] = &[
    ("Ticket", "DeliveryContext"),
    ("Port", "ClientEvents"),
    ("Generation", "ClientInstance"),
    ("Clerk", "RegistryThread"),
    ("Judge", "FilterSet"),
    ("Door", "name what it admits"),
    ("Seat", "WorkerSlot"),
    ("Held", "InFlight"),
    ("Maker", "EventSource"),
    ("Admission", "CachedVerdict, Admitted"),
];

/// Endings of type names for which there are better ones.
const ENDINGS: &[&str] = &["Refusal", "Refused", "Rejected", "Denied", "Failure"];

/// Types that keep such an ending, with the reason.
const ENDING_KEPT: &[(&str, &str)] =
    &[("ConnectionFailure", "a state of a connection, not an error that is returned")];

/// Modules with names that say too little, with what was chosen instead.
const MODULES: &[(&str, &str)] = &[
    ("screen", "request_checks"),
    ("ambiguous", "smuggling"),
    ("handle", "connected"),
    ("room", "backlog"),
    ("waiting", "backlog"),
    ("fate", "completion"),
];

#[test]
fn prose_is_plain() -> Result<(), Findings> {
    let mut findings = Findings::of("prose");
    for file in readable() {
        let prose = prose(file).to_ascii_lowercase();
        for (phrase, instead) in PHRASES {
            for offset in phrases(&prose, phrase) {
                findings.add(&file.path, line_at(&prose, offset), format!("\"{phrase}\": {instead}"));
            }
        }
    }
    findings.outcome()
}

#[test]
fn types_are_named_for_what_they_are() -> Result<(), Findings> {
    let mut findings = Findings::of("type names");
    for (file, name, offset) in types() {
        let line = file.source().line(offset);
        if let Some((_, instead)) = NAMES.iter().find(|(not, _)| *not == name) {
            findings.add(
                &file.path,
                line,
                format!("the type {name}: call it by the field's noun ({instead})"),
            );
        }
        let kept = ENDING_KEPT.iter().any(|(kept, _)| *kept == name);
        if ENDINGS.iter().any(|ending| name.ends_with(ending)) && !kept {
            findings.add(
                &file.path,
                line,
                format!("the type {name}: an error ends in `Error`, a state has its own name"),
            );
        }
    }
    findings.outcome()
}

#[test]
fn errors_end_in_error() -> Result<(), Findings> {
    let mut findings = Findings::of("error names");
    for (file, name, offset) in types() {
        let code = &file.source().production;
        let is_error = derives_error(code, offset)
            || ["impl std::error::Error for ", "impl Error for ", "impl error::Error for "]
                .iter()
                .any(|start| words(code, &format!("{start}{name}")).next().is_some());
        if is_error && !name.ends_with("Error") {
            findings.add(
                &file.path,
                file.source().line(offset),
                format!("the error {name}: let its name end in `Error`"),
            );
        }
    }
    findings.outcome()
}

#[test]
fn modules_have_the_names_of_their_concepts() -> Result<(), Findings> {
    let mut findings = Findings::of("concept names");
    for file in tree::files().iter().filter(|file| file.is_rust()) {
        let name = file.path.rsplit('/').next().unwrap_or_default().trim_end_matches(".rs");
        if let Some((_, instead)) = MODULES.iter().find(|(not, _)| *not == name) {
            findings.add(
                &file.path,
                1,
                format!("a module `{name}`: call it by the field's noun ({instead})"),
            );
        }
    }
    findings.outcome()
}

/// What people read. This module has to name the phrases, and CHANGELOG.md quotes the old texts of log messages.
fn readable() -> impl Iterator<Item = &'static File> {
    tree::files().iter().filter(|file| {
        file.path != "LICENSE" && file.path != "CHANGELOG.md" && !file.path.ends_with("rules/words.rs")
    })
}

/// A file's prose: of Rust sources the comments and string literals, of others everything.
fn prose(file: &File) -> String {
    if file.is_rust() { file.source().prose() } else { file.text.clone() }
}

/// Where a phrase stands: its words with nothing but spaces, line breaks and the marks of comments between them.
fn phrases<'a>(text: &'a str, phrase: &'a str) -> impl Iterator<Item = usize> + 'a {
    let (first, others) = phrase.split_once(' ').unwrap_or((phrase, ""));
    words(text, first).filter(move |at| {
        let mut rest = &text[at + first.len()..];
        others.split(' ').filter(|word| !word.is_empty()).all(|word| {
            let next = rest.trim_start_matches([' ', '\n', '/', '!', '#']);
            let found = first_word(next);
            let is_apart = next.len() < rest.len();
            rest = &next[found.len()..];
            is_apart && (found == word || (word == "*" && !found.is_empty()))
        })
    })
}

/// The types that sources declare outside of tests.
fn types() -> impl Iterator<Item = (&'static File, &'static str, usize)> {
    let is_source =
        |path: &str| path.contains("/src/") && !path.contains("/tests/") && !path.ends_with("/tests.rs");
    tree::files().iter().filter(move |file| file.is_rust() && is_source(&file.path)).flat_map(|file| {
        let code = file.source().production.as_str();
        ["struct", "enum", "trait", "type", "union"].iter().flat_map(move |keyword| {
            words(code, keyword).filter_map(move |at| {
                let name = first_word(code[at + keyword.len()..].trim_start());
                let is_type =
                    name.starts_with(char::is_uppercase) && code[at + keyword.len()..].starts_with(' ');
                is_type.then_some((file, name, at))
            })
        })
    })
}

/// Whether the attributes of the item at `offset` derive `Error`.
fn derives_error(code: &str, offset: usize) -> bool {
    let before = &code[..offset];
    let start = before.rfind([';', '}']).map_or(0, |at| at + 1);
    before[start..].split("derive(").skip(1).any(|list| {
        let list = list.split(')').next().unwrap_or_default();
        list.split(',').any(|name| {
            name.trim()
                .rsplit("::")
                .next()
                .is_some_and(|name| name.trim_end_matches(|c| !is_word(c)) == "Error")
        })
    })
}

#[test]
fn a_phrase_is_found_across_the_lines_of_a_comment() {
    let text = "// it is\n// told. A route takes it not; none\n";
    assert_eq!(phrases(text, "is told").count(), 1);
    assert_eq!(phrases(text, "takes * not").count(), 1);
    assert_eq!(phrases(text, "not none").count(), 0);
}
