//! docs/log.md has every line of the levels WARN and ERROR, with its fields and what to do. `UPDATE=1` writes the page anew: what to do
//! is kept for each message that is still there.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::page::{hold, row};
use crate::findings::Findings;
use crate::reading::rust::{Source, words};
use crate::reading::tree;

const PAGE: &str = "docs/log.md";

const INTRODUCTION: &str = "\
# Log lines

Every line of level ERROR (something was lost, or the gateway cannot do what it is for) and WARN (something is not as it should be,
nothing is lost), with its fields and what to do. A test makes this page from the source, so it has all of them, word for word.
Lines that could come often come once a minute; the field `suppressed` or `similar` counts the others. By symptom:
[troubleshooting](troubleshooting.md).
";

/// The parts of the page: the beginning of the paths of their sources, and the heading. The first one that fits counts.
const PARTS: &[(&str, &str)] = &[
    ("crates/wrpkafka/", "Kafka"),
    ("crates/talaria/src/event/kafka", "Kafka"),
    ("crates/talaria/src/event", "Event receivers"),
    ("crates/talaria/src/device", "Devices"),
    ("crates/talaria/src/auth", "Tokens and credentials"),
    ("crates/talaria/src/discovery", "Service discovery"),
    ("crates/talaria/src/trace", "Traces"),
    ("crates/talaria/src/telemetry", "The log and the metrics page"),
    ("crates/talaria/src/server", "Servers and connections"),
    ("crates/talaria/src/primary", "Servers and connections"),
    ("crates/talaria/src/descriptors", "Servers and connections"),
    ("crates/", "The process and its configuration"),
];

/// Calls whose message is a variable: the file, a field by which the call is known among those of the file, and a message as it
/// stands in a source; `…` is what a value fills.
const VARIABLE: &[(&str, &str, &str)] = &[
    (REFUSALS, "", "connects too often, connections are refused for a time"),
    (REFUSALS, "", "exceeds its rate for too long, connections are refused for a time"),
    (CONTEXT, "`limit`", "device exceeds its rate, nothing is read from it until the rate allows it"),
    (CONTEXT, "`limit`", "device exceeds its rate, its messages are dropped until the rate allows them"),
    (CONTEXT, "`reason`", "device closed, it has the largest of too many unfinished messages"),
    (CONTEXT, "`reason`", "device closed, its message did not arrive completely in time"),
    (CONTEXT, "`reason`", "device closed, it does not read and most of too many messages wait for it"),
    ("crates/talaria/src/server/config.rs", "", "server is reachable without authentication: …"),
    (BODIES, "", "request rejected, too many bytes of bodies wait in all"),
    (BODIES, "", "response replaced by a 503, too many bytes of bodies wait in all"),
    (BODIES, "", "connection cut whose client does not read, too many bytes of bodies wait in all"),
    ("crates/wrpkafka/src/client/librdkafka/context.rs", "", "…"),
];
const REFUSALS: &str = "crates/talaria/src/device/refusals.rs";
const BODIES: &str = "crates/talaria/src/server/metrics.rs";
const CONTEXT: &str = "crates/talaria/src/device/session/context.rs";

struct Line {
    level: &'static str,
    message: String,
    fields: String,
    part: &'static str,
}

#[test]
fn the_page_of_log_lines_is_up_to_date() -> Result<(), Findings> {
    let old = tree::file(PAGE).map_or("", |file| file.text.as_str());
    let advice: BTreeMap<&str, &str> =
        old.lines().filter_map(row::<4>).map(|[_, message, _, advice]| (message, advice)).collect();
    let mut findings = Findings::of("log lines");
    let mut page = INTRODUCTION.to_owned();
    let mut lines = lines(&mut findings);
    lines.sort_by(|a, b| (a.part, a.level, &a.message).cmp(&(b.part, b.level, &b.message)));
    let mut part = "";
    for line in &lines {
        if line.part != part {
            part = line.part;
            let _ =
                write!(page, "\n## {part}\n\n| level | message | fields | what to do |\n|---|---|---|---|\n");
        }
        let message = format!("`{}`", line.message);
        let advice = advice.get(message.as_str()).copied().unwrap_or_default();
        if advice.is_empty() {
            findings.add(PAGE, 1, format!("what is to be done about {message}? Say it in its row"));
        }
        let _ = writeln!(page, "| {} | {message} | {} | {advice} |", line.level, line.fields);
    }
    hold(PAGE, &page, &mut findings);
    findings.outcome()
}

/// All calls of `warn!` and `error!` that are not for tests.
fn lines(findings: &mut Findings) -> Vec<Line> {
    let mut found: Vec<Line> = Vec::new();
    for file in super::texts::sources() {
        let source = file.source();
        let part = PARTS.iter().find(|(start, _)| file.path.starts_with(start)).map_or("", |(_, part)| part);
        for (level, name) in [("ERROR", "error"), ("WARN", "warn")] {
            for at in words(&source.production, name) {
                let Some(open) = source.production[at + name.len()..].strip_prefix("!(") else { continue };
                let from = source.production.len() - open.len();
                let Some((message, fields)) = call(source, from) else { continue };
                let is_of_call = |path: &str, field: &str| path == file.path && fields.contains(field);
                let variable = VARIABLE.iter().filter(|(path, field, _)| is_of_call(path, field));
                let variable: Vec<&str> = variable.map(|(.., text)| *text).collect();
                if !is_variable(&message) {
                    found.push(Line { level, message, fields, part });
                } else if variable.is_empty() {
                    let what = "the message is a variable: list its texts in `VARIABLE` of this rule";
                    findings.add(&file.path, source.line(at), what);
                } else {
                    for text in variable {
                        if !super::texts::sources()
                            .any(|file| file.text.contains(text.split('…').next().unwrap_or(text)))
                        {
                            findings.add(&file.path, source.line(at), format!("there is no \"{text}\""));
                        }
                        found.push(Line { level, message: text.to_owned(), fields: fields.clone(), part });
                    }
                }
            }
        }
    }
    found.sort_by(|a, b| (a.level, &a.message).cmp(&(b.level, &b.message)));
    // A line that is written in two places has the fields of both.
    found.dedup_by(|other, first| {
        let is_same = (other.level, &other.message) == (first.level, &first.message);
        for field in other.fields.split(", ") {
            if is_same && !first.fields.contains(field) {
                first.fields = format!("{}, {field}", first.fields);
            }
        }
        is_same
    });
    found
}

/// The message and the names of the fields of a call whose arguments begin at `from`.
fn call(source: &Source, from: usize) -> Option<(String, String)> {
    let mut literals = source.production_literals().filter(|literal| literal.offset > from);
    let literal = literals.find(|literal| {
        let before = source.production[from..literal.offset].trim_end_matches('"').trim_end();
        before.is_empty() || before.ends_with(',')
    })?;
    let fields = source.production[from..literal.offset].trim_end_matches('"');
    let mut depth = 0;
    let fields = fields.split(|c| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        c == ',' && depth == 0
    });
    let names = fields.map(str::trim).filter(|field| !field.is_empty() && !field.starts_with("target:"));
    let names = names
        .map(|field| field.split('=').next().unwrap_or(field).trim().trim_start_matches(['%', '?', '$']));
    let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    // A line that ends in a backslash goes on without the blanks of the next one.
    let message = literal.value.split("\\\n").map(str::trim_start).collect::<String>();
    Some((message, names.join(", ")))
}

fn is_variable(message: &str) -> bool {
    message.starts_with('{') && message.ends_with('}') || message.starts_with('$')
}

#[test]
fn a_call_has_a_message_and_fields() {
    let source = Source::new("fn f() { warn!(target: \"x\", id = %a.id(), ?b, \"one \\\n   two\"); }");
    let from = source.production.find("!(").map_or(0, |at| at + 2);
    assert_eq!(call(&source, from), Some(("one two".to_owned(), "`id`, `b`".to_owned())));
}
