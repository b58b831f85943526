"""Renders a chart as `helm install` would: render_chart.py CHART VALUES, by a python that has Helm's own library."""

import sys
from pathlib import Path

import helm_python

values = helm_python.values_from_yaml(Path(sys.argv[2]).read_text(encoding="utf-8"))
report = helm_python.lint(sys.argv[1], values, strict=True)
wrong = [found for found in report["messages"] if found["severity"] > 1]  # above: advice
with helm_python.Chart.load(sys.argv[1]) as chart:
    files = chart.render(values, name="party", namespace="flower", is_install=True)
assert not wrong, wrong
print("\n---\n".join(text for name, text in files.items() if name.endswith(".yaml")))
