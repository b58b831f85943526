"""SuperLinks that are late, that are restarted, and that are lost in the middle of a reply."""

import pytest

from judge import serves
from relay import Relay

AWAY = r"SuperLink .*: \w+ failed: .*; trying again in"
FORGOTTEN = r"SuperLink .*(forgot|register)"


@pytest.mark.ours
def test_not_yet_there(federation):
    federation.expect(AWAY)
    node = federation.start_node(wait=False)
    node.wait_log(AWAY)
    assert federation.address in node.text()
    federation.start_superlink()
    node_id = federation.wait_registered(node, seconds=60)
    judge = federation.judge()
    assert judge.nodes(1) == [node_id]
    assert serves(judge, node_id) == 1


@pytest.mark.ours
def test_restarted_in_memory(federation):
    """The SuperLink has forgotten everything; the node registers again and goes on."""
    federation.start_superlink()
    node = federation.start_node()
    judge = federation.judge()
    (before,) = judge.nodes(1)
    assert serves(judge, before) == 1
    federation.expect(AWAY, FORGOTTEN)
    federation.superlink.kill()
    node.wait_log(AWAY)
    start = node.size()
    federation.start_superlink()
    after = federation.wait_registered(node, start, 60)
    assert after != before
    again = federation.judge()
    assert again.nodes(1) == [after]
    assert serves(again, after) == 1


@pytest.mark.ours
def test_restarted_with_database(federation, tmp_path):
    """The SuperLink still knows the node, which need not register again."""
    database = tmp_path / "state.sqlite"
    federation.start_superlink(database)
    node = federation.start_node()
    judge = federation.judge()
    (node_id,) = judge.nodes(1)
    assert serves(judge, node_id) == 1
    federation.expect(AWAY)
    federation.superlink.kill()
    node.wait_log(AWAY)
    federation.start_superlink(database)
    again = federation.judge()
    assert again.nodes(1) == [node_id]
    assert again.reply(again.send(node_id, "count"), 60)["code"] == 0
    assert len(node.text().split("registered: node_id=")) == 2


@pytest.mark.ours
def test_gone_during_push(federation):
    """The connection breaks in the middle of a big reply: it arrives once the SuperLink is back."""
    megabytes = 8 << 20
    federation.start_superlink()
    relay = Relay(federation.fleet)
    try:
        node = federation.start_node(superlink=f"127.0.0.1:{relay.port}")
        judge = federation.judge()
        (node_id,) = judge.nodes(1)
        assert serves(judge, node_id) == 1
        federation.expect(AWAY)
        relay.cut_when(megabytes // 2)
        message = judge.send(node_id, "echo", bytes=megabytes)
        assert relay.was_cut.wait(30)
        node.wait_log(r"PushMessages failed: .*; trying again in")
        relay.mend()
        reply = judge.reply(message, 60)
        assert (reply["code"], reply["bytes"]) == (0, megabytes)
        assert serves(judge, node_id) == 2
        assert node.stop() == 0
    finally:
        relay.close()


@pytest.mark.ours
def test_heartbeats_go_alone(federation):
    """On a connection of their own: a long upload on the other one does not make them late."""
    federation.start_superlink()
    relay = Relay(federation.fleet)
    try:
        node = federation.start_node(superlink=f"127.0.0.1:{relay.port}")
        judge = federation.judge()
        (node_id,) = judge.nodes(1)
        assert serves(judge, node_id) == 1
        beats, calls = sorted(relay.methods, key=len)
        assert beats == {"Ping"}
        assert {"CreateNode", "PullMessages", "PushMessages"} <= calls and "Ping" not in calls
        assert node.stop() == 0
    finally:
        relay.close()


@pytest.mark.ours
def test_gives_up_when_told_so(federation):
    """--max-wait-time: status 1, and the last line names the SuperLink."""
    federation.expect(AWAY, r"(ERROR|WARN)\s+supernode: ")
    node = federation.start_node(options={"--max-wait-time": 1}, wait=False)
    assert node.wait(30) == 1
    assert federation.address in node.text().splitlines()[-1] or node.find(
        rf"ERROR .*{federation.address}"
    )
