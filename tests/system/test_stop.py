"""The signals that a SuperNode understands."""

import signal

import pytest

from federation.processes import tree_of
from judge import at_work, serves

pytestmark = pytest.mark.shared


@pytest.mark.ours
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_ends(federation, number):
    """It leaves the SuperLink; status 0."""
    link = federation.start_superlink()
    node = federation.start_node()
    tree = tree_of(node.pid)
    node.signal(number)
    assert node.wait(30) == 0
    federation.wait_gone(tree)
    assert link.text().count("DeleteNode") == 1


@pytest.mark.ours
def test_hang_up(one_node, tmp_path):
    """SIGHUP ends nothing, neither when idle nor while an app is at work."""
    federation, node, node_id, judge = one_node
    node.signal(signal.SIGHUP)
    assert serves(judge, node_id) == 1
    federation.expect(r"message failed: ", r"(WARN|ERROR)\s+supernode: \d+: ")
    message, _ = at_work(judge, node_id, tmp_path / "at-work", ttl=10.0)
    node.signal(signal.SIGHUP)
    assert "ttl" in judge.reply(message)["reason"]  # nothing else has ended it
    assert serves(judge, node_id) == 2


@pytest.mark.ours
@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_second_signal(one_node, tmp_path, second):
    """While an app works: at once, whatever the grace; nothing is left."""
    federation, node, node_id, judge = one_node
    federation.expect(r"stopping now")
    _, pids = at_work(judge, node_id, tmp_path / "at-work")
    tree = tree_of(node.pid) + pids
    node.signal(signal.SIGTERM)
    node.wait_log(r"stopping")
    node.signal(second)
    assert node.wait() == 0
    federation.wait_gone(tree)


@pytest.mark.ours
def test_second_signal_when_all_is_answered(one_node):
    """The last reply was fetched: the node leaves the SuperLink in good order, without a wait."""
    federation, node, node_id, judge = one_node
    assert serves(judge, node_id) == 1
    node.signal(signal.SIGTERM)
    node.wait_log(r"stopping: up to \d+ s for the ServerApp to fetch the last reply", 10)
    node.signal(signal.SIGTERM)
    assert node.wait(30) == 0
    assert node.find(r"supernode: stopped$")
    assert federation.superlink.text().count("DeleteNode") == 1
