"""Checks the alerts and the dashboard as text: what they name must exist, and what must be written is there.

usage: check.py RULES TESTS DASHBOARD CONTRACT GUIDE SCRAPE…

A metric exists if a scrape of a gateway has it, or the contract's page of metrics. Its labels must be those of the scrape; of
a metric that only the contract has, words of that page. Prints each fault, and exits with 1 if there is one.
"""
import re
import sys

import promql

PREFIXES = ("talaria_talaria_", "talaria_process_")
VARIABLES = {"prefix": "talaria_talaria", "namespace": "talaria", "__rate_interval": "5m", "job": ".*", "instance": ".*"}
# Series that Prometheus makes itself, and that of the exporter that asks /ready.
OUTSIDE = {"up", "probe_success", "ALERTS"}
# Labels that Prometheus renames, since the target has one of that name.
RENAMED = {"exported_instance": "instance"}


def main(rules_path, tests_path, dashboard_path, contract_path, guide_path, *scrapes):
    faults = []
    rules = promql.rules(rules_path)
    tests = open(tests_path, encoding="utf-8").read()
    contract = open(contract_path, encoding="utf-8").read()
    guide = open(guide_path, encoding="utf-8").read()
    scraped = metrics_of(scrapes)
    recorded = {rule.name for rule in rules if rule.kind == "record"}
    alerts = [rule for rule in rules if rule.kind == "alert"]

    for alert in alerts:
        for annotation in ("summary", "description", "runbook"):
            if not alert.annotations.get(annotation, "").strip():
                faults.append(f"{alert.name}: no {annotation}")
        if f"| `{alert.name}` | {alert.severity} |" not in guide:
            faults.append(f"{alert.name}: {guide_path} does not list it as {alert.severity}")
        test = re.search(rf"labels: 'ALERTS\{{alertname=\"{alert.name}\", ([^']*)\}}'", tests)
        if not test:
            faults.append(f"{alert.name}: {tests_path} has no test in which it fires")
            continue
        for label in set(re.findall(r"\$labels\.(\w+)", " ".join(alert.annotations.values()))):
            if f'{label}="' not in test.group(1):
                faults.append(f"{alert.name}: its text names {label}, which it does not have in its test")

    used = [(rule.name, rule.expr) for rule in rules] + promql.dashboard(dashboard_path, VARIABLES)
    seen, only_contract = set(), set()
    for where, expression in used:
        if not expression.strip():
            faults.append(f"{where}: no expression could be read")
        metrics, grouped = promql.uses(expression)
        allowed = set(promql.TARGET_LABELS)
        recording = False
        for metric, labels in metrics.items():
            if metric in OUTSIDE:
                continue
            if metric in recorded:
                recording = True
                continue
            if metric in scraped:
                known = scraped[metric]
                seen.add(metric)
            elif re.search(rf"`{without_prefix(metric)}[`{{]", contract):
                known = set(re.findall(r"\w+", contract))
                only_contract.add(metric)
            else:
                faults.append(f"{where}: no gateway has {metric}, and {contract_path} does not name it")
                continue
            allowed |= known
            for label in labels - promql.TARGET_LABELS:
                if RENAMED.get(label, label) not in known:
                    faults.append(f"{where}: {metric} has no label {label}")
        for label in grouped:
            if not recording and RENAMED.get(label, label) not in allowed:
                faults.append(f"{where}: no metric of it has the label {label}")

    for fault in faults:
        print(fault)
    print(f"{len(alerts)} alerts and {len(used) - len(rules)} expressions of the dashboard use {len(seen)} metrics that a "
          f"gateway had, and {len(only_contract)} that only the contract names: {' '.join(sorted(only_contract))}")
    return 1 if faults else 0


def metrics_of(paths):
    """The metrics of the scrapes, each with the names of its labels."""
    found = {}
    for path in paths:
        for line in open(path, encoding="utf-8"):
            match = re.match(r"(\w+)(?:\{(.*)\})? \S+", line)
            if match and not line.startswith("#"):
                labels = re.findall(r'(\w+)="', match.group(2) or "")
                found.setdefault(match.group(1), set()).update(labels)
    return found


def without_prefix(metric):
    for prefix in PREFIXES:
        metric = metric.removeprefix(prefix)
    return metric.removesuffix("_bucket")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
