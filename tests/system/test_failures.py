"""Apps, workers and SuperNodes that end in every wrong way; the next message is served normally."""

import os
import shutil
import signal
import time

import pytest

from federation.processes import tree_of, wait_until
from judge import APP

NOT_LOADED = "An exception was raised when attempting to load `ClientApp`"
FAILED = r"message failed: "
TOLD = r"supernode: \d+ err: (WARN|ERROR)\s"  # the worker's own words on it

ENDS = [
    # what the app does; error code; what the reason must say
    ("raise", {}, 2, ["<class 'ZeroDivisionError'>:<'division by zero'>"]),
    ("exit", {"status": 0, "at-once": False}, 8, ["exited with status 0"]),
    ("exit", {"status": 3, "at-once": False}, 8, ["exited with status 3", "last words"]),
    ("exit", {"status": 0, "at-once": True}, 8, ["exited with status 0"]),
    ("exit", {"status": 3, "at-once": True}, 8, ["exited with status 3", "last words"]),
    ("signal", {"signal": signal.SIGKILL}, 8, ["SIGKILL"]),
    ("signal", {"signal": signal.SIGSEGV}, 8, ["SIGSEGV"]),
    ("signal", {"signal": signal.SIGTERM}, 8, ["SIGTERM"]),
]


def serves(judge, node):
    """Messages are served normally, state is kept."""
    reply = judge.ask(node, "count")
    assert reply["code"] == 0, reply
    return reply["metrics"]["counter"]["n"]


def at_work(judge, node, file, **order):
    """Have an app sit in one long native call: (message, pids of the app and its two children)."""
    message = judge.send(node, "sit", file=str(file), seconds=1000, **order)
    wait_until(file.exists, "the app is at work", 30)
    return message, [int(pid) for pid in file.read_text(encoding="utf-8").split()]


@pytest.mark.ours
def test_ends_of_apps(one_node):
    federation, _, node, judge = one_node
    federation.expect(FAILED, TOLD)
    for number, (what, order, code, words) in enumerate(ENDS, 1):
        reply = judge.ask(node, what, **order)
        assert reply["code"] == code, reply
        for word in words:
            assert word in reply["reason"]
        assert serves(judge, node) == number


@pytest.mark.ours
def test_stderr_stays_at_home(federation):
    federation.start_superlink()
    argv = federation.node_argv(federation.address, None, {}) + ["--no-stderr-in-replies"]
    name = federation.name("supernode")
    node = federation.start(name, argv, federation.environ(name))
    federation.nodes.append(node)
    federation.wait_registered(node)
    federation.expect(FAILED, TOLD)
    judge = federation.judge()
    (node_id,) = judge.nodes(1)
    reply = judge.ask(node_id, "exit", status=3, **{"at-once": False})
    assert reply["code"] == 8
    assert "exited with status 3" in reply["reason"] and "last words" not in reply["reason"]
    assert "last words" in node.text()


@pytest.mark.ours
@pytest.mark.parametrize(
    "program",
    ["import package_that_is_not_there\n", "nothing = 'here'\n", "app = 'not a ClientApp'\n"],
    ids=["import", "attribute", "type"],
)
def test_app_does_not_load(one_node, tmp_path, program):
    federation, _, node, judge = one_node
    federation.expect(FAILED, TOLD)
    broken = tmp_path / "judge"
    shutil.copytree(APP, broken)
    # `flwr run` looks at the files, too: the flaw must be one that it does not see.
    client = "app = None\n" + program + ("del app\n" if program.startswith("nothing") else "")
    (broken / "judge/client_app.py").write_text(client, encoding="utf-8")
    other = federation.judge(app=broken)
    reply = other.ask(node, "echo")
    assert reply["code"] == 1
    assert reply["reason"].startswith(NOT_LOADED)
    assert serves(judge, node) == 1


@pytest.mark.ours
def test_python_without_flwr(federation, tmp_path):
    """The reply has the cause, and the log says what to do."""
    python = tmp_path / "python3"
    python.write_text(f'#!/bin/sh\nexec "{federation.bin}/python" -S "$@"\n', encoding="utf-8")
    python.chmod(0o755)
    federation.start_superlink()
    node = federation.start_node(options={"--python": python})
    federation.expect(FAILED, TOLD)
    judge = federation.judge()
    (node_id,) = judge.nodes(1)
    reply = judge.ask(node_id, "echo")
    assert reply["code"] == 1
    assert reply["reason"].startswith(NOT_LOADED + ": ")
    assert "flwr" in reply["reason"]
    assert node.find(r"--python|install")


@pytest.mark.ours
def test_worker_killed(one_node, tmp_path):
    federation, node, node_id, judge = one_node
    federation.expect(FAILED)
    message, pids = at_work(judge, node_id, tmp_path / "at-work")
    worker = int(node.find(r"worker started: .*pid=(\d+)").group(1))
    killed = time.monotonic()
    os.kill(worker, signal.SIGKILL)
    reply = judge.reply(message)
    assert reply["code"] == 8
    assert "worker" in reply["reason"] and "SIGKILL" in reply["reason"]
    assert judge.arrived[message] - killed < 2
    federation.wait_gone(pids, 5)
    assert serves(judge, node_id) == 1


@pytest.mark.ours
def test_app_killed(one_node, tmp_path):
    """From outside, while it sits in a native call; all that it has started goes with it."""
    federation, _, node, judge = one_node
    federation.expect(FAILED, TOLD)
    message, pids = at_work(judge, node, tmp_path / "at-work")
    killed = time.monotonic()
    os.kill(pids[0], signal.SIGKILL)
    reply = judge.reply(message)
    assert reply["code"] == 8 and "SIGKILL" in reply["reason"]
    assert judge.arrived[message] - killed < 2
    federation.wait_gone(pids, 5)
    assert serves(judge, node) == 1


@pytest.mark.ours
def test_supernode_killed(one_node, tmp_path):
    """Nothing of it is left after a second, though the app cannot look around."""
    federation, node, node_id, judge = one_node
    _, pids = at_work(judge, node_id, tmp_path / "at-work")
    tree = [pid for pid in tree_of(node.pid) if pid != pids[2]]
    assert set(pids[:2]) <= set(tree) and len(tree) >= 4
    node.kill()
    federation.wait_gone(tree, 1.0)
    # What had left the app's session belongs to nobody now; the test takes it along.
    if os.path.exists(f"/proc/{pids[2]}"):
        os.kill(pids[2], signal.SIGKILL)


@pytest.mark.ours
def test_stopped_while_working(federation, tmp_path):
    """An error reply after the grace period; everything is gone; status 0."""
    federation.start_superlink()
    node = federation.start_node(options={"--grace": 1})
    federation.expect(FAILED, TOLD, r"stopping")
    judge = federation.judge()
    (node_id,) = judge.nodes(1)
    message, pids = at_work(judge, node_id, tmp_path / "at-work")
    tree = tree_of(node.pid) + pids
    node.signal(signal.SIGTERM)
    reply = judge.reply(message, 10)
    assert reply["code"] == 8
    assert node.wait(10) == 0
    federation.wait_gone(tree, 1.0)


@pytest.mark.ours
def test_stopped_while_ending(one_node, tmp_path):
    """A message that ends within the grace period is answered with its result."""
    _, node, node_id, judge = one_node
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    message = judge.send(node_id, "wait", pipe=str(pipe))
    with open(pipe, "w", encoding="utf-8") as word:  # returns when the app has opened it
        node.signal(signal.SIGTERM)
        node.wait_log(r"stopping", 5)
        word.write("go on")
    assert judge.reply(message, 10)["code"] == 0
    assert node.wait(10) == 0


@pytest.mark.ours
def test_worker_timeout(federation, tmp_path):
    federation.start_superlink()
    node = federation.start_node(options={"--worker-timeout": 3})
    federation.expect(FAILED, TOLD)
    judge = federation.judge()
    (node_id,) = judge.nodes(1)
    message, pids = at_work(judge, node_id, tmp_path / "at-work")
    reply = judge.reply(message, 20)
    assert reply["code"] == 8
    federation.wait_gone(pids, 10)
    assert serves(judge, node_id) == 1
