"""torch, scikit-learn, xgboost and multiprocessing in apps that are forked from a warm Python, in both cages: with the results
that an interpreter of their own gives. Needs the environments of scripts/setup --frameworks (scripts/test --frameworks)."""

import json
import os
import re
import shutil
import tempfile
from pathlib import Path

import pytest
from judge import APP, Judge
from tested import TestedFederation, binaries

from federation.processes import command_of, tree_of, wait_until

WHERE = os.environ.get("FLWR_TEST_FRAMEWORKS")

pytestmark = [
    pytest.mark.ours,
    pytest.mark.skipif(not WHERE, reason="scripts/test --frameworks has it run"),
]

READY = r"zygote pid=\d+: ready"
AHEAD = r"fork of the zygote: forked pid=\d+$"
APPS = ["torch_net", "logistic", "trees", "processes"]
COLD, WARM = 2, 3
# Messages until a zygote has learnt: after the first there is one, after the second it learns; in strict it learns nothing.
TEACHING = {"node": 2, "strict": 1}
BELOW = "resource_tracker|forkserver|spawn|loky"


@pytest.fixture(params=["1.15.2", "1.41.0"])
def lab(request, tmp_path):
    environment = Path(WHERE) / f"frameworks-{request.param}"
    federation = TestedFederation(tmp_path / "lab", environment, binaries())
    request.node.failed = False
    try:
        yield federation
    finally:
        wrong = federation.finish()
        if wrong or request.node.failed:
            federation.show_logs()
    assert not wrong, "\n".join(wrong)


def make_app(folder, module):
    """The app of that module, with the ServerApp that a test drives."""
    app = folder / "frameworks"
    shutil.copytree(APP.parent / "frameworks", app)
    shutil.copytree(APP / "judge", app / "judge")
    pyproject = app / "pyproject.toml"
    text = pyproject.read_text(encoding="utf-8").replace("MODULE", module)
    pyproject.write_text(text, encoding="utf-8")
    return app


def judge_of(federation, folder, module):
    federation.judges.append(Judge(federation, app=make_app(folder, module)))
    return federation.judges[-1]


def ask(judge, node_id):
    """What the app tells of one message."""
    reply = judge.ask(node_id, "work", 120)
    assert reply["code"] == 0, reply
    return json.loads(reply["configs"]["known"]["json"])


def left_below(node):
    """Processes that Python's libraries have started, and that do not end with their app."""
    return [name for name in map(command_of, tree_of(node.pid)[1:]) if re.search(BELOW, name)]


def messages(number, node, judge, node_id, teaching=0):
    """The replies to so many, one after the other."""
    found = []
    for each in range(number):
        start = node.size()
        found.append(ask(judge, node_id))
        if each < teaching:
            node.wait_log(READY + r"(?s:.*)" + AHEAD, 120, start)
        wait_until(lambda: not left_below(node), "what the app has started is gone", 60)
    return found


@pytest.fixture(params=TEACHING)
def cage(request):
    return request.param


@pytest.fixture
def home():
    """A Flower home of a short path: in strict apps have sockets with paths below it, of 107 bytes at most."""
    with tempfile.TemporaryDirectory(prefix="home-") as folder:
        yield folder


@pytest.mark.parametrize("module", APPS)
def test_equal(lab, tmp_path, home, cage, module):
    lab.start_superlink()
    options = {"--sandbox": cage, "--flwr-dir": home}
    cold_node = lab.start_node(options={**options, "--preload": "none"})
    judge = judge_of(lab, tmp_path, module)
    (node_id,) = judge.nodes(1)
    cold = messages(COLD, cold_node, judge, node_id)
    assert cold_node.stop() == 0
    node = lab.start_node(options=options)
    node.wait_log(rf"apps run in a cage: sandbox={cage}")
    (node_id,) = judge.nodes(1)
    warm = messages(WARM, node, judge, node_id, TEACHING[cage])
    both = cold + warm
    assert [each["forked"] for each in both] == [False] * (COLD + 1) + [True] * (WARM - 1)
    for what in ("result", "variables", "modules", "children"):
        assert [each[what] for each in both] == [both[0][what]] * len(both), what
    for name in both[0]["own"]:
        assert len({each["own"][name] for each in both}) == len(both), name
    assert "is not imported ahead" not in node.text()


def test_side_by_side(lab, tmp_path):
    """What one app has the zygote import is not there for another one, which imports other things."""
    lab.start_superlink()
    node = lab.start_node()
    found = []
    judges = [judge_of(lab, tmp_path / module, module) for module in ("torch_net", "logistic")]
    (node_id,) = judges[0].nodes(1)
    messages(1, node, judges[0], node_id, teaching=1)
    for judge in judges:
        messages(1, node, judge, node_id, teaching=1)
    for judge in judges:
        found += messages(1, node, judge, node_id)
    assert [each["forked"] for each in found] == [True, True]
    assert [each["modules"] for each in found] == [["torch"], ["sklearn"]]
    assert "is not imported ahead" not in node.text()
