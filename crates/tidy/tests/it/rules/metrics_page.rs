//! docs/metrics.md has every metric that the source registers: with its full name and type from there, labels and meaning from the
//! contract, and the alerts that watch it from deploy/prometheus. `UPDATE=1` writes the page anew.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::page::hold;
use super::texts::{METRICS, Registration, registrations};
use crate::findings::Findings;
use crate::reading::markdown::{headings, lines};
use crate::reading::rust::words;
use crate::reading::tree;

const PAGE: &str = "docs/metrics.md";
const RULES: &str = "deploy/prometheus/talaria.rules.yaml";

const INTRODUCTION: &str = "\
# Metrics

Every metric of the gateway, at `metric.address` + `/metrics`. The names are those of the default configuration:
`metric.metricsOptions` and `touchstone` change their beginnings ([§10.3](contract/10-health-and-metrics.md#103-prefixes)), and on most
Go Talarias they begin with `xmidt_talaria_`. A test makes this page from the source, the contract and the alerts.

**What to do** about a metric is said by the alert on it: its `runbook` in
[talaria.rules.yaml](../deploy/prometheus/talaria.rules.yaml), listed in [operations.md](operations.md#alerts-and-dashboard). A metric
without an alert explains another one, or is for a dashboard. Most series appear when they are first touched.

The metrics of the process (`talaria_process_…`: CPU, memory, open files, start) are those of every Prometheus client.
";

/// Sections of the contract whose metrics have the prefix of devices.
const PREFIXED: &[&str] =
    &["10.4", "10.8", "10.9", "10.10", "10.11", "10.12", "10.13", "10.17", "10.18", "10.19"];
const PREFIX: &str = "talaria_talaria_";

/// What the contract says of a metric.
#[derive(Clone)]
struct Described<'a> {
    section: &'a str,
    line: usize,
    labels: String,
    meaning: &'a str,
}

#[test]
fn the_page_of_metrics_is_up_to_date() -> Result<(), Findings> {
    let mut findings = Findings::of("metrics page");
    let contract = tree::file(METRICS).map_or("", |file| file.text.as_str());
    let described = described(contract);
    let alerts = alerts();
    let unprefixed = unprefixed(contract);
    let mut rows: Vec<(usize, &str, String)> = Vec::new();
    for metric in registrations() {
        let name = metric.name;
        let Some(about) = described.get(name).cloned().or_else(|| named_in_prose(contract, &metric)) else {
            findings.add(METRICS, 1, format!("nothing is said of {name}"));
            continue;
        };
        let number = about.section.trim_start_matches('§').split(' ').next().unwrap_or_default();
        let is_prefixed =
            PREFIXED.contains(&number) && !unprefixed.iter().any(|start| name.starts_with(start));
        let full = format!("{}{name}", if is_prefixed { PREFIX } else { "" });
        let kind = match metric.function.trim_end_matches("_vec").trim_start_matches("float_") {
            "latency" => "histogram",
            kind => kind,
        };
        let labels = if about.labels.len() >= quoted(&metric.labels).len() {
            about.labels.clone()
        } else {
            quoted(&metric.labels)
        };
        let meaning = if about.meaning.is_empty() { metric.help } else { about.meaning };
        let meaning = meaning.trim_start_matches("The number of ").trim_start_matches("the number of ");
        let watching = alerts.iter().filter(|(_, expression)| words(expression, &full).next().is_some());
        let watching: Vec<&str> = watching.map(|(alert, _)| *alert).collect();
        let row =
            format!("| `{full}` | {kind} | {labels} | {} | {} |\n", from_docs(meaning), quoted(&watching));
        rows.push((about.line, about.section, row));
    }
    rows.sort();
    let mut page = INTRODUCTION.to_owned();
    let mut section = "";
    for (_, of, row) in &rows {
        if *of != section {
            section = of;
            let title = of.split_once(' ').map_or(*of, |(_, title)| title);
            let _ = write!(
                page,
                "\n## {title}\n\n| metric | type | labels | meaning | alerts |\n|---|---|---|---|---|\n"
            );
        }
        page.push_str(row);
    }
    hold(PAGE, &page, &mut findings);
    findings.outcome()
}

/// The rows of the contract's tables by the names in their first column.
fn described(contract: &str) -> BTreeMap<&str, Described<'_>> {
    let mut found = BTreeMap::new();
    for (line, text, _) in lines(contract).filter(|(_, text, _)| text.starts_with("| ")) {
        let section = headings(contract)
            .take_while(|heading| heading.line < line)
            .last()
            .map_or("", |heading| heading.text);
        let cells: Vec<&str> =
            text.trim_matches('|').split(" | ").map(|cell| cell.trim_matches(['|', ' '])).collect();
        let [first, second, ..] = cells[..] else { continue };
        let names: Vec<&str> = first.split('`').skip(1).step_by(2).collect();
        // A row of several metrics, or without a column for it, says nothing of each.
        let meaning = if names.len() == 1 { cells.get(2).copied().unwrap_or_default() } else { "" };
        for name in names {
            let (name, own) = name.split_once('{').unwrap_or((name, ""));
            let is_kind = ["counter", "gauge", "histogram"].contains(&second);
            let is_list =
                cells.len() == 2 && !is_kind && second.chars().all(|c| c.is_lowercase() || "_, ".contains(c));
            let all =
                [own.trim_end_matches('}'), between(second, '{', '}'), if is_list { second } else { "" }];
            let labels = all.into_iter().find(|labels| !labels.is_empty()).unwrap_or_default();
            let labels: Vec<&str> =
                labels.split(',').map(str::trim).filter(|label| !label.is_empty()).collect();
            found.entry(name).or_insert(Described { section, line, labels: quoted(&labels), meaning });
        }
    }
    found
}

/// What is said of a metric in a sentence: its labels, which stand behind it.
fn named_in_prose<'a>(contract: &'a str, metric: &Registration) -> Option<Described<'a>> {
    let name = metric.name;
    let (start, rest) = ["{", "`"].iter().find_map(|end| {
        let start = contract.find(&format!("`{name}{end}"))?;
        Some((start, &contract[start + name.len() + 1..]))
    })?;
    let line = contract[..start].lines().count();
    let section = headings(contract).take_while(|heading| heading.line <= line).last()?.text;
    let labels =
        if rest.starts_with('{') || metric.function.ends_with("_vec") { between(rest, '{', '}') } else { "" };
    let labels: Vec<&str> = labels.split(',').map(str::trim).filter(|label| !label.is_empty()).collect();
    Some(Described { section, line, labels: quoted(&labels), meaning: "" })
}

/// The beginnings of the names that have no prefix.
fn unprefixed(contract: &str) -> Vec<&str> {
    let row = contract.lines().find(|line| line.starts_with("| none, unless")).unwrap_or_default();
    let names = row.rsplit(" | ").next().unwrap_or_default();
    names.split('`').skip(1).step_by(2).map(|name| name.trim_end_matches('*')).collect()
}

fn quoted(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// A text of the contract with links that lead there from docs/.
fn from_docs(text: &str) -> String {
    let text = text.trim_start_matches("ours: ").replace("](#", "](contract/10-health-and-metrics.md#");
    (1..20).fold(text, |text, number| {
        text.replace(&format!("]({number:02}-"), &format!("](contract/{number:02}-"))
    })
}

fn between(text: &str, open: char, close: char) -> &str {
    text.split_once(open).and_then(|(_, rest)| rest.split_once(close)).map_or("", |(inner, _)| inner)
}

/// The alerts with what they evaluate, recorded expressions included.
fn alerts() -> BTreeMap<&'static str, String> {
    let rules = tree::file(RULES).map_or("", |file| file.text.as_str());
    let mut blocks: Vec<(&str, &str, String)> = Vec::new();
    for line in rules.lines() {
        if let Some((kind, name)) =
            line.trim_start().strip_prefix("- ").and_then(|rule| rule.split_once(": "))
        {
            blocks.push((kind, name, String::new()));
        } else if let Some((_, _, text)) = blocks.last_mut() {
            text.push_str(line);
            text.push('\n');
        }
    }
    let expression = |text: &str| text.split("annotations:").next().unwrap_or(text).to_owned();
    let records: BTreeSet<_> = blocks
        .iter()
        .filter(|(kind, ..)| *kind == "record")
        .map(|(_, name, text)| (*name, text.as_str()))
        .collect();
    let alerts = blocks.iter().filter(|(kind, ..)| *kind == "alert");
    alerts
        .map(|(_, name, text)| {
            let mut evaluated = expression(text);
            for (record, text) in &records {
                if evaluated.contains(record) {
                    evaluated.push_str(text);
                }
            }
            (*name, evaluated)
        })
        .collect()
}
