"""What an app sees of its node, its run and its own past."""

import json

import pytest
from test_failures import FAILED, TOLD

pytestmark = pytest.mark.shared

NODE_CONFIG = (
    'truth=true lie=false zero=0 big=9223372036854775807 small=-5 half=0.5 name="alice in the lab" '
    "quoted='a b' partition-id=3"
)
NODE_VALUES = {
    "truth": ["bool", True],
    "lie": ["bool", False],
    "zero": ["int", 0],
    "big": ["int", 9223372036854775807],
    "small": ["int", -5],
    "half": ["float", 0.5],
    "name": ["str", "alice in the lab"],
    "quoted": ["str", "a b"],
    "partition-id": ["int", 3],
}


def known(judge, node):
    reply = judge.ask(node, "context")
    assert reply["code"] == 0, reply
    return json.loads(reply["configs"]["known"]["json"])


def test_node_config(federation):
    federation.start_superlink()
    federation.start_node(NODE_CONFIG)
    judge = federation.judge()
    (node,) = judge.nodes(1)
    seen = known(judge, node)
    assert seen["node_config"] == NODE_VALUES
    assert seen["node_id"] == str(node)
    assert seen["run_id"] == judge.run_id


def test_node_config_file(federation, tmp_path):
    file = tmp_path / "node.toml"
    text = 'partition-id = 7\nratio = 1e-3\n[data]\npath = "/srv/data"\n'
    file.write_text(text, encoding="utf-8")
    federation.start_superlink()
    federation.start_node(str(file))
    judge = federation.judge()
    (node,) = judge.nodes(1)
    assert known(judge, node)["node_config"] == {
        "partition-id": ["int", 7],
        "ratio": ["float", 0.001],
        "data.path": ["str", "/srv/data"],
    }


def test_run_config(federation):
    """The app's defaults, with what `flwr run` overrides."""
    federation.start_superlink()
    federation.start_node()
    overrides = "a-bool=true an-int=-7 a-float=2.25 a-string='two words' nested.depth=2"
    judge = federation.judge(overrides)
    (node,) = judge.nodes(1)
    config = known(judge, node)["run_config"]
    del config["judge"]
    assert config == {
        "a-bool": ["bool", True],
        "an-int": ["int", -7],
        "a-float": ["float", 2.25],
        "a-string": ["str", "two words"],
        "untouched": ["str", "as it was"],
        "nested.depth": ["int", 2],
    }
    plain = federation.judge()
    assert known(plain, node)["run_config"]["an-int"] == ["int", 1]


def changed(reply):
    """How often node_config was changed, the run's judge, as the app saw them in the end."""
    assert reply["code"] == 0, reply
    seen = json.loads(reply["configs"]["known"]["json"])
    return seen["node_config"]["seen"], seen["run_config"]["judge"][1]


def test_changed_node_config(one_node):
    """It comes back with the next message of the run, and with no other run's."""
    federation, _, node, judge = one_node
    for expected in (1, 2):
        assert changed(judge.ask(node, "config", run=False))[0] == ["int", expected]
    other = federation.judge()
    assert changed(other.ask(node, "config", run=False))[0] == ["int", 1]
    assert changed(judge.ask(node, "config", run=False))[0] == ["int", 3]


@pytest.mark.ours
def test_changed_run_config(one_node):
    """This release lets no app change it: its SuperNode ends then, ours replies with its words."""
    federation, _, node, judge = one_node
    federation.expect(FAILED, TOLD)
    reply = judge.ask(node, "config", run=True)
    words = "The `run_config` field of the `Context` object cannot be modified"
    assert reply["code"] == 2 and words in reply["reason"], reply
    assert changed(judge.ask(node, "config", run=False))[0] == ["int", 1]


def test_state(one_node):
    """Kept from message to message, for each run by itself."""
    federation, _, node, judge = one_node
    for expected in (1, 2, 3):
        assert judge.ask(node, "count")["metrics"]["counter"]["n"] == expected
    other = federation.judge()
    assert other.ask(node, "count")["metrics"]["counter"]["n"] == 1
    assert judge.ask(node, "count")["metrics"]["counter"]["n"] == 4


def test_state_after_exception(one_node):
    """What an app has changed before it raised is kept, as by Flower's own worker."""
    federation, _, node, judge = one_node
    federation.expect(r"message failed: ", r"(WARN|ERROR)\s+supernode: \d+: ")
    assert judge.ask(node, "count")["metrics"]["counter"]["n"] == 1
    assert judge.ask(node, "count-and-raise")["code"] == 2
    assert judge.ask(node, "count")["metrics"]["counter"]["n"] == 3


def test_reply_metadata(one_node):
    """As the instruction's, for every kind of message; types may have a suffix."""
    _, _, node, judge = one_node
    for kind, group in (("train", "7"), ("evaluate", ""), ("query", "a group")):
        reply = judge.ask(node, "echo", type=kind, group=group, ttl=600.0, bytes=100000)
        assert reply["code"] == 0
        assert (reply["type"], reply["group"], reply["node"]) == (kind, group, str(node))
        assert reply["run"] == judge.run_id
        assert 500 < reply["ttl"] <= 600
        assert reply["bytes"] == 100000
