"""Whole runs of unmodified Flower apps."""

import json
import re
from pathlib import Path

from federation.processes import wait_until

AVERAGING = Path(__file__).parent / "apps/averaging"
DIGITS = Path(__file__).parents[2] / "examples/digits"


def run_averaging(federation, result, nodes, rounds=2):
    federation.run(AVERAGING, f'nodes={nodes} rounds={rounds} result="{result}"')

    def ended():
        assert "raised an exception" not in federation.superlink.text()
        return result.exists()

    wait_until(ended, "the run ends", 120, 0.1)
    return json.loads(result.read_text(encoding="utf-8"))


def check_averages(seen, steps):
    """Each round adds the mean of the nodes' steps; nothing is lost in types and shapes."""
    mean = sum(steps) / len(steps)
    for number, each in enumerate(seen, 1):
        value = mean * number
        assert each["weights"] == [["float32", [[value] * 3] * 2], ["float64", [value] * 4]]
        assert each["fit"] == [[step, number] for step in sorted(steps)]


def test_one_node_two_runs(federation, tmp_path):
    """One run after the other: the second one starts with nothing of the first."""
    federation.start_superlink()
    federation.start_node()
    seen = run_averaging(federation, tmp_path / "first", 1)
    check_averages(seen, [1])
    # The first message was get_parameters; the state is the same for all kinds of messages.
    assert [each["messages"] for each in seen] == [[3], [5]]
    seen = run_averaging(federation, tmp_path / "second", 1, rounds=1)
    check_averages(seen, [1])
    assert seen[0]["messages"] == [3]


CALLS_AT_DEBUG = (
    r"DEBUG .* call /flwr\.proto\.Fleet/RegisterNode: UNAUTHENTICATED took_ms=\d+ sent=1 ",
    r"DEBUG .* calls to \S+: calls=\d+ ok=\d+ ",
    r"DEBUG .* pid \d+, uid \d+: /flwr\.proto\.\w+/\w+: OK after \d+ ms",
    r"DEBUG .* worker API: calls: .*Push\w+ OK n=\d+ ",
)


def test_calls_are_counted_at_debug(federation, tmp_path):
    """A line for each call of a worker, and for those to the SuperLink that fail, and the numbers at
    the end; at other levels none."""
    federation.start_superlink()
    nodes = [federation.start_node()]
    run_averaging(federation, tmp_path / "first", 1, rounds=1)
    assert nodes[0].stop() == 0
    nodes.append(federation.start_node(options={"--log-level": "info"}))
    run_averaging(federation, tmp_path / "second", 1, rounds=1)
    assert nodes[1].stop() == 0
    for pattern in CALLS_AT_DEBUG:
        assert [bool(re.search(pattern, node.text())) for node in nodes] == [True, False]


def test_two_nodes(federation, tmp_path):
    federation.start_superlink()
    for partition in (0, 1):
        federation.start_node(f"partition-id={partition} num-partitions=2", wait=False)
    for node in federation.nodes:
        federation.wait_registered(node)
    seen = run_averaging(federation, tmp_path / "result.json", 2)
    check_averages(seen, [1, 2])
    first, second = (each["messages"] for each in seen)
    assert sum(first) == 5 and sum(second) == 9  # one of them was asked for the first weights


def test_digits(federation):
    """The example of the demo, as it is."""
    federation.start_superlink()
    for partition in (0, 1):
        federation.start_node(f"partition-id={partition} num-partitions=2", wait=False)
    for node in federation.nodes:
        federation.wait_registered(node)
    federation.run(DIGITS, "num-server-rounds=2")
    federation.superlink.wait_log(r"\[SUMMARY\]", 120)
    accuracies = re.findall(r"round (\d)  accuracy (\d\.\d+)", federation.superlink.text())
    assert [number for number, _ in accuracies] == ["1", "2"]
    assert float(accuracies[-1][1]) >= 0.90
