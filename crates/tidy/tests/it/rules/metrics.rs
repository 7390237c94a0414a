//! The contract's tables of metrics and the golden file that the metrics page of a running gateway is compared with
//! (`crates/talaria/tests/it/metrics_page.rs`) say the same: of each family its type, name, labels and buckets.

use std::collections::{BTreeMap, BTreeSet};

use crate::findings::Findings;
use crate::reading::markdown::rows_below;
use crate::reading::tree;

const CONTRACT: &str = "docs/contract/10-health-and-metrics.md";
const GOLDEN: &str = "testdata/metrics/families.txt";

/// The sections whose tables list families, with the prefix that their families have by default.
const SECTIONS: &[(&str, &str)] = &[
    ("§10.4 Devices", "talaria_talaria_"),
    ("§10.5 Events by HTTP", ""),
    ("§10.6 Acknowledgements", ""),
    ("§10.7 Kafka", ""),
    ("§10.8 Kafka client", "talaria_talaria_"),
    ("§10.9 API", "talaria_talaria_"),
    ("§10.10 Connections", "talaria_talaria_"),
    ("§10.11 Control", ""),
    ("§10.12 Keys and credentials", ""),
    ("§10.13 Service discovery", "talaria_talaria_"),
    ("§10.14 Process", "talaria_process_"),
    ("§10.17 Configuration", "talaria_talaria_"),
    ("§10.18 The log", "talaria_talaria_"),
    ("§10.19 Traces", "talaria_talaria_"),
];
const BUCKETS: &str = "§10.16 Buckets";

/// What a row says of a family that has no prefix although the others of its section have one.
const WITHOUT_PREFIX: &str = "no prefix";

#[test]
fn the_golden_metrics_page_is_what_the_contract_lists() -> Result<(), Findings> {
    let mut findings = Findings::of("golden metrics");
    let contract = tree::file(CONTRACT).map_or("", |file| file.text.as_str());
    let buckets = buckets(contract);
    let mut listed = BTreeSet::new();
    for (section, prefix) in SECTIONS {
        let rows = rows_below(contract, section);
        assert!(rows.len() > 1, "no table below {section:?}: correct `SECTIONS` in this rule");
        for (line, cells) in rows {
            let names = quoted(cells.first().copied().unwrap_or_default());
            let Some((kind, labels)) = cells.get(1).and_then(|cell| kind_and_labels(cell)) else {
                if !names.is_empty() {
                    findings.add(
                        CONTRACT,
                        line,
                        "the second column is not a type with labels, `counter {code}`".to_owned(),
                    );
                }
                continue;
            };
            let prefix = if cells[1].contains(WITHOUT_PREFIX) { "" } else { prefix };
            for name in names {
                let buckets = match (kind, buckets.get(name)) {
                    ("histogram", None) => {
                        findings.add(CONTRACT, line, format!("{BUCKETS} does not list {name}"));
                        continue;
                    }
                    ("histogram", Some(buckets)) => format!(" {buckets}"),
                    _ => String::new(),
                };
                listed.insert(format!("{kind} {prefix}{name} {{{labels}}}{buckets}"));
            }
        }
    }
    let golden = tree::testdata(GOLDEN);
    let golden: BTreeSet<String> = golden.lines().map(str::to_owned).collect();
    for line in listed.difference(&golden) {
        findings.add(GOLDEN, 1, format!("the contract lists this family, add it: {line}"));
    }
    for line in golden.difference(&listed) {
        findings.add(
            GOLDEN,
            1,
            format!("the contract does not list this family so, correct one of them: {line}"),
        );
    }
    findings.outcome()
}

/// The bounds of each histogram, as they are written.
fn buckets(contract: &str) -> BTreeMap<&str, &str> {
    let rows = rows_below(contract, BUCKETS).into_iter().filter(|(_, cells)| cells.len() > 1);
    rows.flat_map(|(_, cells)| quoted(cells[0]).into_iter().map(move |name| (name, cells[1]))).collect()
}

/// `counter {code, method}, no prefix` is a counter with the labels `code,method`, in the order of the metrics page.
fn kind_and_labels(cell: &str) -> Option<(&str, String)> {
    let (kind, rest) = cell.split_at(cell.find(|c: char| !c.is_ascii_lowercase()).unwrap_or(cell.len()));
    let labels = rest
        .trim_start()
        .strip_prefix('{')
        .and_then(|rest| rest.split_once('}'))
        .map_or("", |(labels, _)| labels);
    let labels: BTreeSet<&str> = labels.split(',').map(str::trim).filter(|label| !label.is_empty()).collect();
    ["counter", "gauge", "histogram"]
        .contains(&kind)
        .then(|| (kind, labels.into_iter().collect::<Vec<_>>().join(",")))
}

fn quoted(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

#[test]
fn a_cell_says_the_type_and_the_labels() {
    let read = |cell| kind_and_labels(cell).map(|(kind, labels)| format!("{kind} {labels}"));
    assert_eq!(read("counter {code, a}, no prefix").as_deref(), Some("counter a,code"));
    assert_eq!(read("gauge, 0 or 1").as_deref(), Some("gauge "));
    assert_eq!(read("ours: counter {a}"), None);
}
