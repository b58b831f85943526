"""The worker that is started ahead: the next message gets it, nobody misses it, and it is left by nothing."""

import os
import re
import signal

import pytest
from judge import at_work, serves
from test_isolation import Pair

from federation.processes import alive, tree_of, wait_until

pytestmark = [pytest.mark.ours, pytest.mark.shared]


def spare_of(agent, number=1):
    """The pid of the spare worker that was started as the numberth one."""
    pattern = r"(?s:.*?spare worker: (?:started|forked) pid=(\d+)$)" * number
    return int(agent.wait_log(pattern).group(number))


def takes(agent, spare):
    """Has this spare worker got a message?"""
    return agent.find(rf"spare worker pid={spare}: takes \d+$") and agent.find(
        rf"worker started: message=\d+ pid={spare}$"
    )


def test_next_message(one_node):
    """Each message goes to the worker that was started ahead of it."""
    _, node, node_id, judge = one_node
    assert "spare worker" not in node.text()
    for number in range(1, 4):
        assert serves(judge, node_id) == number
        assert not takes(node, spare_of(node, number))
        if number > 1:
            assert takes(node, spare_of(node, number - 1))


def test_killed(one_node):
    """One line; the next message has a worker of its own, and another spare follows."""
    federation, node, node_id, judge = one_node
    assert serves(judge, node_id) == 1
    spare = spare_of(node)
    os.kill(spare, signal.SIGKILL)
    node.wait_log(rf"DEBUG .*spare worker pid={spare}: killed by signal 9")
    assert serves(judge, node_id) == 2
    assert not takes(node, spare)
    assert serves(judge, node_id) == 3
    assert takes(node, spare_of(node, 2))
    assert len(re.findall(rf"pid={spare}\b", node.text())) == 2  # its start and its end


def test_stopped(one_node):
    """A node that is stopped leaves nothing, and waits for nothing."""
    federation, node, node_id, judge = one_node
    assert serves(judge, node_id) == 1
    spare = spare_of(node)
    tree = tree_of(node.pid)
    assert spare in tree
    node.signal(signal.SIGTERM)
    federation.wait_gone([spare])
    assert node.wait(30) == 0
    federation.wait_gone(tree)


@pytest.mark.parametrize("held", [False, True], ids=["waiting", "held"])
def test_supernode_killed(one_node, held):
    """It ends with its agent, even when it was stopped itself."""
    federation, node, node_id, judge = one_node
    assert serves(judge, node_id) == 1
    spare = spare_of(node)
    if held:
        # It asks to be woken at the end of its agent before it starts threads.
        wait_until(lambda: len(os.listdir(f"/proc/{spare}/task")) > 1, "the spare worker waits")
        os.kill(spare, signal.SIGSTOP)
    node.kill()
    federation.wait_gone([spare])


def test_not_needed_any_more(federation):
    """It is given back when no message comes; the next one is served as the first."""
    federation.start_superlink()
    node = federation.start_node(options={"--warm-idle": 0.5})
    judge = federation.judge()
    (node_id,) = judge.nodes(1)
    assert serves(judge, node_id) == 1
    spare = spare_of(node)
    node.wait_log(rf"spare worker pid={spare}: no message for a while")
    federation.wait_gone([spare])
    assert serves(judge, node_id) == 2
    assert not takes(node, spare)


def test_none(federation):
    federation.start_superlink()
    node = federation.start_node(options={"--warm-idle": 0})
    judge = federation.judge()
    (node_id,) = judge.nodes(1)
    assert [serves(judge, node_id) for _ in range(2)] == [1, 2]
    assert "spare worker" not in node.text()


def test_worker_killed(one_node, tmp_path):
    """A worker that was a spare is watched as any other, and another spare follows it."""
    federation, node, node_id, judge = one_node
    federation.expect(r"message failed: ")
    assert serves(judge, node_id) == 1
    message, pids = at_work(judge, node_id, tmp_path / "at-work")
    worker = spare_of(node)
    assert takes(node, worker)
    os.kill(worker, signal.SIGKILL)
    reply = judge.reply(message)
    assert reply["code"] == 8 and "SIGKILL" in reply["reason"]
    federation.wait_gone([worker, *pids])
    spare = spare_of(node, 2)
    assert alive(spare)
    assert serves(judge, node_id) == 2
    assert takes(node, spare)


def test_process_isolation(federation):
    """The launcher keeps it."""
    pair = Pair(federation)
    clientapp = pair.start_clientapp()
    assert serves(pair.judge, pair.id) == 1
    spare = spare_of(clientapp)
    assert serves(pair.judge, pair.id) == 2
    assert takes(clientapp, spare)
    spare = spare_of(clientapp, 2)
    clientapp.signal(signal.SIGTERM)
    assert clientapp.wait(30) == 0
    federation.wait_gone([spare])
