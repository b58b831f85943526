"""FABs that the SuperLink has lost or spoilt: an error reply, and other runs go on."""

import re
import shutil

import pytest

from judge import APP, serves

HASH = re.compile(r"[0-9a-f]{64}")
REFUSED = [r"FAB refused: ", r"message failed: .* code=7: ", r"GetFab failed: "]


def fabs(federation):
    """The files that the SuperLink keeps FABs in."""
    files = (federation.folder / "homes/superlink").rglob("*")
    return {file for file in files if HASH.fullmatch(file.name)}


@pytest.fixture
def two_runs(one_node, tmp_path):
    """(federation, node id, a run, another run of another FAB, the file of the other FAB)"""
    federation, _, node_id, judge = one_node
    other = tmp_path / "judge"
    shutil.copytree(APP, other)
    (other / "judge/extra.py").write_text("EXTRA = 1\n", encoding="utf-8")
    before = fabs(federation)
    another = federation.judge(app=other)
    (file,) = fabs(federation) - before
    federation.expect(*REFUSED)
    return federation, node_id, judge, another, file


@pytest.mark.ours
@pytest.mark.parametrize("more", [b"x", b"x" * 100000], ids=["byte", "many"])
def test_spoilt(two_runs, more):
    """It is not what its hash says: refused before anything is unpacked."""
    _, node, judge, another, file = two_runs
    file.write_bytes(file.read_bytes() + more)
    reply = another.ask(node, "count")
    assert reply["code"] == 7 and "hash" in reply["reason"], reply
    assert serves(judge, node) == 1


@pytest.mark.ours
def test_empty(two_runs):
    _, node, judge, another, file = two_runs
    file.write_bytes(b"")
    reply = another.ask(node, "count")
    assert reply["code"] == 7, reply
    assert serves(judge, node) == 1


@pytest.mark.ours
def test_lost(two_runs):
    """The SuperLink fails when asked for it: it is asked again for a while, not for the ttl."""
    _, node, judge, another, file = two_runs
    file.unlink()
    message = another.send(node, "count", ttl=3600.0)
    reply = another.reply(message, 20)
    assert reply["code"] == 7, reply
    assert serves(judge, node) == 1
    assert judge.ask(node, "echo", bytes=1000)["bytes"] == 1000
