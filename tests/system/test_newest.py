"""Messages of the newest release's SuperLink: what apps see and give back, and how they end."""

import json
import os
import shutil
import signal
import time
from pathlib import Path

import pytest
from judge import APP, app_killed, at_its_end, at_work, serves
from newest import newest_federation
from test_context import NODE_CONFIG, NODE_VALUES, changed, known
from test_failures import FAILED, NOT_LOADED, TOLD

pytestmark = pytest.mark.ours

MIB = 1 << 20
CHUNK = 5 * MIB  # of this release: larger arrays are several objects
SERIES = Path(__file__).parent / "flwr_in_series.py"


class Lab:
    """A federation with a SuperNode of ours and a run."""

    def __init__(self, federation):
        self.federation = federation
        federation.start_superlink()
        self.node = federation.start_node(NODE_CONFIG)
        self.judge = federation.judge()
        (self.id,) = self.judge.nodes(1)

    def ask(self, what, **order):
        return self.judge.ask(self.id, what, **order)

    def count(self, judge=None):
        return serves(judge or self.judge, self.id)


@pytest.fixture(scope="module")
def lab(request, tmp_path_factory):
    with newest_federation(request, tmp_path_factory.mktemp("newest")) as federation:
        yield Lab(federation)


def test_context(lab):
    """The node's configuration, the run's, and who they are."""
    judge = lab.federation.judge("a-bool=true an-int=-7 a-string='two words' nested.depth=2")
    seen = known(judge, lab.id)
    assert seen["node_config"] == NODE_VALUES
    assert (seen["node_id"], seen["run_id"]) == (str(lab.id), judge.run_id)
    del seen["run_config"]["judge"]
    assert seen["run_config"] == {
        "a-bool": ["bool", True],
        "an-int": ["int", -7],
        "a-float": ["float", 1.5],
        "a-string": ["str", "two words"],
        "untouched": ["str", "as it was"],
        "nested.depth": ["int", 2],
    }


def test_state(lab, monkeypatch):
    """Kept from message to message and handed on within a series of runs, to no other one."""
    before = lab.count()
    assert lab.count() == before + 1
    series = known(lab.judge, lab.id)["series_id"]

    def flwr_in_series(*arguments):
        federation = lab.federation
        argv = [federation.release.python, SERIES, series, *arguments]
        started = federation.start(federation.name("flwr"), argv, federation.environ("cli"))
        assert started.wait(60) == 0, started.text()
        return started.text()

    with monkeypatch.context() as patch:
        patch.setattr(lab.federation, "flwr", flwr_in_series)
        next_one = lab.federation.judge()
    other = lab.federation.judge()
    assert known(next_one, lab.id)["series_id"] == series
    assert lab.count(next_one) == before + 2
    assert lab.count(other) == 1
    assert lab.count(next_one) == before + 3


def test_changed_configs(lab):
    """What an app changes of its configurations comes back with the run's next message."""
    judge = lab.federation.judge()
    for expected in (1, 2, 3):
        seen, value = changed(judge.ask(lab.id, "config", run=True))
        assert (seen, value) == (["int", expected], "changed")
    assert changed(lab.federation.judge().ask(lab.id, "config", run=False))[0] == ["int", 1]


def test_end_of_app(lab, tmp_path):
    """As Python's, after the reply."""
    _, pipe, file = at_its_end(lab.judge, lab.id, tmp_path)
    later = lab.judge.send(lab.id, "count")
    pipe.write_text("go on", encoding="utf-8")
    assert lab.judge.reply(later)["code"] == 0
    assert file.read_text(encoding="utf-8") == "row thread exit"


def test_long_reason(lab):
    """An exception's text arrives whole."""
    lab.federation.expect(FAILED, TOLD)
    reply = lab.ask("raise-long", number=1000000)
    assert reply["code"] == 2
    assert reply["reason"] == "<class 'ValueError'>:<'" + "x" * 1000000 + "!'>"
    assert lab.count()


ENDS = [
    # what the app does; error code; what the reason must say
    ("raise", {}, 2, ["<class 'ZeroDivisionError'>:<'division by zero'>"]),
    ("exit", {"status": 0, "at-once": False}, 8, ["exited with status 0"]),
    ("exit", {"status": 3, "at-once": True}, 8, ["exited with status 3"]),
    ("signal", {"signal": signal.SIGKILL}, 8, ["SIGKILL"]),
    ("signal", {"signal": signal.SIGSEGV}, 8, ["SIGSEGV"]),
]


@pytest.mark.parametrize(
    "what, order, code, words", ENDS, ids=["raise", "exit", "_exit", "kill", "segv"]
)
def test_ends_of_apps(lab, what, order, code, words):
    lab.federation.expect(FAILED, TOLD)
    before = lab.count()
    reply = lab.ask(what, **order)
    assert reply["code"] == code, reply
    assert all(word in reply["reason"] for word in words), reply
    assert lab.count() == before + 1


def test_app_killed(lab, tmp_path):
    """From outside, while it sits in a native call; all that it has started goes with it."""
    lab.federation.expect(FAILED, TOLD)
    app_killed(lab.federation, lab.judge, lab.id, tmp_path / "at-work")
    assert lab.count()


def test_worker_killed(lab, tmp_path):
    lab.federation.expect(FAILED)
    start = lab.node.size()
    message, pids = at_work(lab.judge, lab.id, tmp_path / "at-work")
    os.kill(int(lab.node.find(r"worker started: .*pid=(\d+)", start).group(1)), signal.SIGKILL)
    reply = lab.judge.reply(message)
    assert reply["code"] == 8
    assert "worker" in reply["reason"] and "SIGKILL" in reply["reason"]
    lab.federation.wait_gone(pids)
    assert lab.count()


def test_time_over(lab, tmp_path):
    """The ttl ends before the app does: the error reply is there before the SuperLink drops it."""
    lab.federation.expect(FAILED, TOLD)
    message, pids = at_work(lab.judge, lab.id, tmp_path / "at-work", ttl=10.0)
    reply = lab.judge.reply(message)
    assert reply["code"] == 8 and "ttl" in reply["reason"], reply
    lab.federation.wait_gone(pids)
    assert lab.count()


def test_contents(lab):
    """No array at all; names of all alphabets; an array of many objects: all as it was sent."""
    names = {"leer": {}, "ünïcödé ☃ \U0001f33c \"\\\n": {"": 1, "权重": CHUNK, "ß": CHUNK + 1}}
    for arrays in ({"empty": {}}, names, {"large": {"array": 30 * MIB + 7}}):
        message = lab.judge.send(lab.id, "echo", arrays=arrays)
        reply = lab.judge.reply(message, 60)
        assert reply["code"] == 0, reply
        assert reply["arrays"] == {record: list(parts) for record, parts in arrays.items()}
        assert reply["bytes"] == sum(sum(parts.values()) for parts in arrays.values())
        assert reply["digest"] == lab.judge.digests[message]


def test_run_ends_first(lab, tmp_path):
    """Nobody wants the reply; the node goes on."""
    lab.federation.expect(r"message dropped: .*its run is over")
    other = lab.federation.judge()
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    other.send(lab.id, "wait", pipe=str(pipe))
    with open(pipe, "w", encoding="utf-8") as word:  # returns when the app has opened it
        lab.federation.flwr("stop", other.run_id, "local")
        word.write("go on")
    lab.node.wait_log(r"its run is over")
    assert lab.count()


def compute_time(federation, run_id):
    """What the SuperLink has added up of the SuperNodes' reports, in seconds."""
    said = federation.flwr("ls", "local", "--run-id", run_id, "--format", "json")
    (run,) = json.loads(said)["runs"]
    return run["compute-time"]["clientapp-seconds"]


def test_runtime(lab, tmp_path):
    """How long the worker had it, which is no longer than the message was away."""
    judge = lab.federation.judge()
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    sent = time.monotonic()
    message = judge.send(lab.id, "wait", pipe=str(pipe))
    with open(pipe, "w", encoding="utf-8") as word:
        word.write("go on")
    judge.reply(message)
    assert 0 < compute_time(lab.federation, judge.run_id) <= judge.arrived[message] - sent


class Both:
    """Asks our SuperNode and Flower's own for the same."""

    def __init__(self, judge, ours):
        self.judge = judge
        self.ours = ours
        (self.theirs,) = [node for node in judge.nodes(2) if node != ours]

    def ask(self, what, judge=None, **order):
        """(our reply, Flower's), without what must differ"""
        judge = judge or self.judge
        sent = {node: judge.send(node, what, **order) for node in (self.ours, self.theirs)}
        replies = []
        for node, message in sent.items():
            reply = judge.reply(message, 60)
            assert reply.pop("node") == str(node)
            end = reply.pop("created_at") + reply.pop("ttl")
            assert abs(end - judge.created[message] - order.get("ttl", 3600.0)) < 0.01
            replies.append(reply)
        return replies


def test_as_flower_does(lab, tmp_path):
    """All of a reply that a ServerApp can see, beside that of Flower's own SuperNode."""
    federation = lab.federation
    federation.expect(FAILED, TOLD)
    broken = tmp_path / "judge"
    shutil.copytree(APP, broken)
    flaw = "app = None\ndel app\n"  # which `flwr run` does not see
    (broken / "judge/client_app.py").write_text(flaw, encoding="utf-8")
    theirs = federation.start_node(NODE_CONFIG, programs="python")
    try:
        both = Both(lab.judge, lab.id)
        order = {"arrays": {"a": {"x": 10}, "b": {}}, "group": "a group", "ttl": 600.0}
        ours, flowers = both.ask("echo", type="train", **order)
        assert ours == flowers
        assert (ours["code"], ours["type"], ours["group"]) == (0, "train", "a group")
        ours, flowers = both.ask("raise", group="")
        assert ours == flowers and ours["code"] == 2
        ours, flowers = both.ask("echo", federation.judge(app=broken))
        assert flowers["reason"] == NOT_LOADED
        assert ours.pop("reason").startswith(flowers.pop("reason"))
        assert ours == flowers and ours["code"] == 1
        # A module that is not there, one that cannot be read, one that raises: code 2.
        for flaw in ("import package_that_is_not_there\n", "exec('a b')\n", "raise OSError('no GPU')\n"):
            (broken / "judge/client_app.py").write_text("app = None\n" + flaw, encoding="utf-8")
            ours, flowers = both.ask("echo", federation.judge(app=broken))
            assert ours == flowers and ours["code"] == 2
    finally:
        theirs.stop()
