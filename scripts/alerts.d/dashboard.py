"""Prints the expressions of a dashboard as rules, so that `promtool check rules` can read them.

usage: dashboard.py DASHBOARD
"""
import json
import sys

import promql
from check import VARIABLES

expressions = promql.dashboard(sys.argv[1], VARIABLES)
rules = [{"record": f"dashboard:{number}", "expr": expression} for number, (_, expression) in enumerate(expressions)]
json.dump({"groups": [{"name": "dashboard", "rules": rules}]}, sys.stdout)
