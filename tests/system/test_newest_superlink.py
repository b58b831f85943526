"""The newest release's SuperLink: lost, restarted, left, with a spoilt FAB; large messages.

FLWR_TEST_LARGE=1 (scripts/test --large) has a message of 1 GiB.
"""

import contextlib
import json
import os
import re
import signal
import sqlite3
import subprocess

import pytest
from judge import AWAY, after_a_cut, at_work, serves, stays_registered, stopped_while_ending
from newest import newest_federation
from test_failures import FAILED, TOLD

from federation.processes import tree_of, wait_until

pytestmark = pytest.mark.ours

FORGOTTEN = r"SuperLink .*(forgot|register)"
NO_EFFECT = "--grpc-rere has no effect: SuperLink .* speaks HTTP"
MIB = 1 << 20
LARGE = (1024 if os.environ.get("FLWR_TEST_LARGE") else 72) * MIB
PART = 24 * MIB  # what is alike is one object: the arrays differ in their lengths
MEMORY = 100 * MIB


@pytest.fixture
def federation(request, tmp_path):
    with newest_federation(request, tmp_path) as federation:
        yield federation


@pytest.fixture
def database(tmp_path):
    return tmp_path / "state.sqlite"


def one_node(federation, database=None, **more):
    """(SuperNode, its id, judge)"""
    federation.start_superlink(database)
    node = federation.start_node(**more)
    judge = federation.judge()
    (node_id,) = judge.nodes(1)
    return node, node_id, judge


def test_restarted_in_memory(federation):
    """The SuperLink has forgotten everything; the node registers again and the next run works.
    What an option says about the transport is answered, once."""
    federation.expect(AWAY, FORGOTTEN, NO_EFFECT)
    node, before, judge = one_node(federation, options={"--grpc-rere": True})
    assert serves(judge, before) == 1
    federation.superlink.kill()
    node.wait_log(AWAY)
    start = node.size()
    federation.start_superlink()
    after = federation.wait_registered(node, start, 60)
    again = federation.judge()
    assert again.nodes(1) == [after] != [before]
    assert serves(again, after) == 1
    assert len(re.findall(NO_EFFECT, node.text())) == 1


def test_restarted_with_database(federation, database):
    """The SuperLink still knows the node, which need not register again."""
    stays_registered(federation, database)


def status_of(federation, node_id):
    """What the SuperLink says of a node."""
    said = json.loads(federation.flwr("supernode", "ls", "local", "--format", "json"))
    (status,) = [each["status"] for each in said["nodes"] if each["node-id"] == str(node_id)]
    return status


def test_stopped_while_working(federation, tmp_path):
    """An error reply after the grace; then the node leaves, and nothing of it stays."""
    node, node_id, judge = one_node(federation, options={"--grace": 1})
    federation.expect(FAILED, TOLD, r"stopping: ")
    message, pids = at_work(judge, node_id, tmp_path / "at-work")
    assert status_of(federation, node_id) == "online"
    tree = tree_of(node.pid) + pids
    node.signal(signal.SIGTERM)
    reply = judge.reply(message)
    assert reply["code"] == 8 and "stopped" in reply["reason"]
    assert node.wait(30) == 0
    federation.wait_gone(tree)
    seen = federation.superlink.text()
    pushed = seen.index(f"Push replies from node_id={node_id}")
    assert pushed < seen.index(f"Deactivated node_id={node_id}")
    assert status_of(federation, node_id) == "unregistered"


def test_stopped_while_ending(federation, tmp_path):
    """A result is not lost with the node that has sent it: the ServerApp has time to fetch it."""
    node, node_id, judge = one_node(federation)
    stopped_while_ending(node, node_id, judge, tmp_path / "pipe")
    assert node.wait(30) == 0


def test_fab_refused(federation, database):
    """Spoilt, then lost, at the SuperLink: an error reply each, and the node goes on."""
    _, node_id, judge = one_node(federation, database)
    federation.expect(FAILED, TOLD, r"FAB refused: ", r"GetFab failed: ")
    with contextlib.closing(sqlite3.connect(database)) as state:
        (content,) = state.execute("SELECT content FROM fab").fetchone()
        state.execute("UPDATE fab SET content = ?", (content + b"x",))
        state.commit()
        reply = judge.ask(node_id, "count")
        assert reply["code"] == 7 and "hash" in reply["reason"], reply
        state.execute("DELETE FROM fab")
        state.commit()
        reply = judge.ask(node_id, "count")
        assert reply["code"] == 7, reply
    another = federation.judge()  # the same FAB is there again
    assert serves(another, node_id) == 1


def test_gone_during_push(federation):
    """The connection breaks in the middle of a reply: it arrives once the SuperLink is back."""
    cut_at = 2 * MIB  # on one of several connections
    judge, message, reply = after_a_cut(
        federation, cut_at, r"failed: .*; trying again in", arrays={"a": {"x": 17 * MIB}}
    )
    assert reply["digest"] == judge.digests[message]


def field(node, name):
    """One line of the kernel's on the SuperNode's memory, in bytes."""
    with open(f"/proc/{node.pid}/status", encoding="utf-8") as status:
        (line,) = [line for line in status if line.startswith(f"{name}:")]
    return int(line.split()[1]) * 1024


def spilt(node):
    """The bytes in files without a name that the SuperNode has open."""
    found = 0
    for entry in os.scandir(f"/proc/{node.pid}/fd"):
        with contextlib.suppress(FileNotFoundError):
            if os.readlink(entry.path).endswith(" (deleted)"):
                found += os.stat(entry.path).st_blocks * 512
    return found


def files_lie_in_memory():
    """Is there a tmpfs where SuperNodes of this machine put large messages?"""
    where = os.environ.get("TMPDIR", "/var/tmp")
    found = subprocess.run(
        ["stat", "-f", "-c", "%T", where], capture_output=True, text=True, check=True
    )
    return found.stdout.strip() == "tmpfs"


def test_large(federation):
    """There and back unchanged, by way of a file, which is left to the next; afterwards no memory is held."""
    node, node_id, judge = one_node(federation)
    assert serves(judge, node_id) == 1
    arrays = {str(n): PART + n for n in range(LARGE // PART)}
    assert spilt(node) == 0
    held = []
    for _ in range(2):
        message = judge.send_order(node_id, 300, arrays={"all": arrays}, do={"what": "echo"})
        wait_until(lambda: spilt(node) > 0, "what does not fit into memory is in a file", 300)
        reply = judge.reply(message, 500)
        assert reply["code"] == 0 and reply["digest"] == judge.digests[message], reply
        held.append(spilt(node))
    assert max(held) <= LARGE + MIB, held
    assert serves(judge, node_id) == 2
    if os.environ.get("FLWR_SANITIZE") != "1":  # sanitizers keep what was freed for a while
        assert field(node, "VmHWM") < field(node, "RssFile") + MEMORY
        wait_until(lambda: field(node, "RssAnon") < 20 * MIB, "the memory is given back", 10)
        assert spilt(node) == 0 if files_lie_in_memory() else spilt(node) > LARGE / 4


def test_superlink_that_starts_our_launcher(federation, monkeypatch):
    """Where ours is first on PATH: ServerApps would wait for ever, and nobody would know why."""
    environ = federation.environ

    def ours_first(name):
        variables = environ(name)
        return variables | {"PATH": f"{federation.binaries}:{variables['PATH']}"}

    monkeypatch.setattr(federation, "environ", ours_first)
    federation.start_superlink()
    federation.superlink.wait_log(
        rf"WARN +clientapp: process {federation.superlink.pid} \(--parent-pid\) is a SuperLink"
    )
