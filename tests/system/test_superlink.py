"""SuperLinks that are late, that are restarted, and that are lost in the middle of a reply."""

import pytest

from judge import AWAY, after_a_cut, serves, stays_registered
from kit.relay import Relay

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
    stays_registered(federation, tmp_path / "state.sqlite")


@pytest.mark.ours
def test_gone_during_push(federation):
    """The connection breaks in the middle of a big reply: it arrives once the SuperLink is back."""
    megabytes = 8 << 20
    failed = r"PushMessages failed: .*; trying again in"
    _, _, reply = after_a_cut(federation, megabytes // 2, failed, bytes=megabytes)
    assert reply["bytes"] == megabytes


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
        # The question what listens there had a connection, too; to join, one is asked with Ping.
        used = list(filter(None, relay.methods))
        (beats,) = [methods for methods in used if "Ping" in methods]
        assert not {"PullMessages", "PushMessages", "GetFab"} & beats
        assert {"CreateNode", "PullMessages", "PushMessages", "GetFab"} <= set().union(*used)
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
