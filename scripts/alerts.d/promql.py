"""The names and labels that PromQL expressions use, read from the alerts and the dashboard.

This is no parser: promtool checks the syntax. It takes away what is neither a metric nor a label.
"""
import json
import re

KEYWORDS = {
    "and", "or", "unless", "bool", "offset", "inf", "nan", "by", "without", "on", "ignoring", "group_left", "group_right",
}
TARGET_LABELS = {"job", "instance", "le", "alertname", "alertstate", "__name__"}
NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"


def uses(expression):
    """The metrics of an expression, each with the labels of its selectors, and the labels of its groupings."""
    text = re.sub(r'"(?:[^"\\]|\\.)*"', '""', expression)
    text = re.sub(r"\[[^\]]*\]", "", text)
    grouped = set()

    def grouping(match):
        grouped.update(re.findall(NAME, match.group(1)))
        return " "

    text = re.sub(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)", grouping, text)
    text = re.sub(r"offset\s+\w+", " ", text)
    metrics = {}
    for match in re.finditer(rf"({NAME})\s*(\{{[^}}]*\}})?(\s*\()?", text):
        name, selector, call = match.groups()
        if call or name in KEYWORDS or re.fullmatch(r"\d.*", name):
            continue
        before = text[:match.start()]
        if before and (before[-1].isdigit() or before[-1] == "."):
            continue  # the unit of a number: 5m, 1e3
        labels = set(re.findall(rf"({NAME})\s*[=!]", selector or ""))
        metrics.setdefault(name, set()).update(labels)
    return metrics, grouped


class Rule:
    """A rule of a rules file: a record or an alert."""

    def __init__(self, kind, name):
        self.kind, self.name = kind, name
        self.expr, self.annotations, self.severity = "", {}, ""


def rules(path):
    """The rules of a file, which is written in the plain way of ours: scalars on a line, or blocks after | and >-."""
    found, block = [], None
    for line in open(path, encoding="utf-8"):
        indent = len(line) - len(line.lstrip())
        if block and (not line.strip() or indent > block[0]):
            block[1](line)
            continue
        block = None
        match = re.match(r"\s*(?:- )?(\w+):\s*(.*)$", line)
        if not match or line.lstrip().startswith("#"):
            continue
        key, value = match.groups()
        if key in ("alert", "record"):
            found.append(Rule(key, value.strip()))
        elif found and key == "labels":
            found[-1].severity = re.sub(r".*severity: (\w+).*", r"\1", value)
        elif found and key == "expr":
            found[-1].expr = "" if value == "|" else value
            if value == "|":
                block = (indent, lambda text, rule=found[-1]: setattr(rule, "expr", rule.expr + text))
        elif found and key in ("summary", "description", "runbook"):
            found[-1].annotations[key] = "" if value == ">-" else value
            if value == ">-":
                def append(text, rule=found[-1], key=key):
                    rule.annotations[key] += text
                block = (indent, append)
    return found


def dashboard(path, variables):
    """The expressions of a dashboard with its variables filled in, each with the title of its panel."""
    document = json.load(open(path, encoding="utf-8"))
    expressions = []
    for panel in document["panels"]:
        for target in panel.get("targets", []):
            expression = target["expr"]
            for name, value in variables.items():
                expression = expression.replace("${" + name + "}", value).replace("$" + name, value)
            expressions.append((panel["title"], expression))
    return expressions
