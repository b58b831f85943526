"""What apps print: whole in the log while memory lasts, and handed through on demand."""

import json
import re

import pytest
from newest import newest_federation
from test_failures import FAILED, TOLD

pytestmark = [pytest.mark.ours, pytest.mark.shared]

LAST = r"app err: ValueError: wrong shape$"


@pytest.fixture(params=["1.15.2", "1.41.0"])
def lab(request, tmp_path):
    """A federation of the oldest or the newest release."""
    if request.param == "1.15.2":
        yield request.getfixturevalue("federation")
        return
    with newest_federation(request, tmp_path / "newest") as federation:
        yield federation


def start(federation, **more):
    federation.start_superlink()
    node = federation.start_node(**more)
    judge = federation.judge()
    (node_id,) = judge.nodes(1)
    return node, judge, node_id


def test_burst(lab):
    """All of it is in the log, and the traceback of the error that is the reply."""
    lab.expect(FAILED, TOLD)
    node, judge, node_id = start(lab)
    reply = judge.ask(node_id, "shout", lines=5000, aside=0)
    assert (reply["code"], reply["reason"]) == (2, "<class 'ValueError'>:<'wrong shape'>")
    node.wait_log(LAST)
    text = node.text()
    numbers = [int(n) for n in re.findall(r"app out: layer\.(\d+)\.weight$", text, re.MULTILINE)]
    assert numbers == list(range(5000))
    assert re.search(r"app err: +File .*, in the_place_that_fails$", text, re.MULTILINE)


def test_flood(federation):
    """A thread writes to stdout without an end meanwhile, and after it: the first line and the
    traceback are there, and how many are not."""
    federation.expect(FAILED, TOLD, "lines of its output were left out here")
    node, judge, node_id = start(federation)
    reply = judge.ask(node_id, "shout", lines=60000, aside=1)
    assert reply["code"] == 2
    node.wait_log(LAST)
    text = node.text()
    for part in ("the first line", r"Traceback \(most recent call last\):"):
        assert re.search(rf"app (out|err): {part}$", text, re.MULTILINE), part
    assert re.search(r"app err: +File .*, in the_place_that_fails$", text, re.MULTILINE)
    assert re.search(r"WARN +supernode: 1 app: \d+ lines of its output were left out", text)
    assert judge.ask(node_id, "echo")["code"] == 0


def test_pass(federation):
    """As it is: wrappers read JSON there."""
    federation.expect(FAILED, TOLD)
    node, judge, node_id = start(federation, options={"--app-output": "pass"})
    reply = judge.ask(node_id, "shout", lines=5000, aside=0, wide=200000)
    assert reply["code"] == 2
    node.wait_log("^ValueError: wrong shape$")
    lines = node.text().splitlines()
    assert [line for line in lines if line.startswith("layer.")] == [
        f"layer.{n}.weight" for n in range(5000)
    ]
    (wide,) = [json.loads(line) for line in lines if line.startswith('{"wide"')]
    assert wide == {"wide": "x" * 200000}
    assert any(line.endswith(", in the_place_that_fails") for line in lines)
