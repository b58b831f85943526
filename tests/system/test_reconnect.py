"""Messages that tell a node to leave, replies that come too late, runs that end too early."""

import os
import signal
import time

import pytest

from federation.processes import command_of, tree_of, wait_until
from judge import serves

pytestmark = pytest.mark.shared

RECONNECT, ACK = 1, 4  # Flower's reasons of a disconnect


def serverapp(federation):
    """Is there one? It is a child of the SuperLink."""
    return any("spawn_main" in command_of(pid) for pid in tree_of(federation.superlink.pid))


def end_by_serverapp(federation, judge):
    assert serverapp(federation)
    judge.close()
    federation.judges.remove(judge)
    wait_until(lambda: not serverapp(federation), "the ServerApp's process ends")


def end_by_command(federation, judge):
    """What `flwr stop` does."""
    (app,) = (federation.folder / "apps").glob("*/judge")
    argv = [federation.bin / "flwr", "stop", judge.run_id, app, "local"]
    assert federation.start(federation.name("stop"), argv, federation.environ("cli")).wait(60) == 0


@pytest.mark.ours
def test_reconnect(one_node):
    """Away for as long as it was told, then there again, as another node."""
    federation, node, node_id, judge = one_node
    start = node.size()
    message = judge.send_reconnect(node_id, {"seconds": 2})
    reply = judge.reply(message)
    assert reply["code"] == 0 and reply["configs"]["config"]["reason"] == RECONNECT
    node.wait_log(r"told this node to disconnect for 2 s")
    again = federation.wait_registered(node, start, 20)
    assert again != node_id and judge.nodes(1) == [again]
    assert serves(judge, again) == 1


@pytest.mark.ours
@pytest.mark.parametrize(
    "config, reason", [({}, ACK), ({"seconds": 0}, RECONNECT)], ids=["none", "0"]
)
def test_disconnect(one_node, config, reason):
    """For ever: the node says so and ends."""
    federation, node, node_id, judge = one_node
    reply = judge.reply(judge.send_reconnect(node_id, config))
    assert reply["code"] == 0 and reply["configs"]["config"]["reason"] == reason
    assert node.wait(20) == 0
    assert node.find(r"told this node to disconnect")
    assert federation.superlink.text().count("DeleteNode") == 1


@pytest.mark.ours
@pytest.mark.parametrize("seconds", [-1, "soon", 1.5])
def test_malformed(one_node, seconds):
    federation, _, node, judge = one_node
    federation.expect(r"malformed reconnect message")
    reply = judge.reply(judge.send_reconnect(node, {"seconds": seconds}))
    assert reply["code"] == 0 or reply["reason"].startswith("Malformed reconnect message")
    assert serves(judge, node) == 1


@pytest.mark.ours
def test_too_late(one_node, tmp_path):
    """The SuperNode could not run while the ttl ended: the SuperLink drops the reply."""
    federation, node, node_id, judge = one_node
    federation.expect(
        r"message failed: ", r"dropped the reply", r"(WARN|ERROR)\s+supernode: \d+: "
    )
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    end = time.monotonic() + 10
    judge.send_and_forget(node_id, "wait", 10.0, pipe=str(pipe))
    with open(pipe, "w", encoding="utf-8"):  # returns when the app has opened it
        node.signal(signal.SIGSTOP)
        wait_until(lambda: time.monotonic() > end + 0.2, "the ttl is over", 20)
        node.signal(signal.SIGCONT)
        node.wait_log(r"WARN .*dropped the reply")
    assert serves(judge, node_id) == 1


@pytest.mark.ours
@pytest.mark.alone
@pytest.mark.parametrize("end", [end_by_serverapp, end_by_command])
def test_run_ends_first(one_node, tmp_path, end):
    """The run is over while a message is at work: nobody wants the reply."""
    federation, node, node_id, judge = one_node
    federation.expect(r"message dropped: .*its run is over")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    judge.send(node_id, "wait", pipe=str(pipe))
    with open(pipe, "w", encoding="utf-8") as word:  # returns when the app has opened it
        end(federation, judge)
        word.write("go on")
    node.wait_log(r"its run is over")
    other = federation.judge()
    assert serves(other, node_id) == 1
