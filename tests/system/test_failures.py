"""Apps, workers and SuperNodes that end in every wrong way; the next message is served normally."""

import os
import resource
import shutil
import signal

import pytest

from federation.processes import alive, tree_of, wait_until
from judge import APP, app_killed, at_its_end, at_work, serves, stopped_while_ending

pytestmark = pytest.mark.shared

NOT_LOADED = "An exception was raised when attempting to load `ClientApp`"
FAILED = r"message failed: "
REAPER_ENDED = r"the reaper \(process \d+\) has ended"
TOLD = r"(WARN|ERROR)\s+supernode: \d+: "  # the worker's own words on it

ENDS = [
    # what the app does; error code; what the reason must say
    ("raise", {}, 2, ["<class 'ZeroDivisionError'>:<'division by zero'>"]),
    ("exit", {"status": 0, "at-once": False}, 8, ["exited with status 0"]),
    ("exit", {"status": 3, "at-once": False}, 8, ["exited with status 3"]),
    ("exit", {"status": 0, "at-once": True}, 8, ["exited with status 0"]),
    ("exit", {"status": 3, "at-once": True}, 8, ["exited with status 3"]),
    ("signal", {"signal": signal.SIGKILL}, 8, ["SIGKILL"]),
    ("signal", {"signal": signal.SIGSEGV}, 8, ["SIGSEGV"]),
    ("signal", {"signal": signal.SIGTERM}, 8, ["SIGTERM"]),
]


@pytest.mark.ours
def test_ends_of_apps(one_node):
    federation, _, node, judge = one_node
    federation.expect(FAILED, TOLD)
    for number, (what, order, code, words) in enumerate(ENDS, 1):
        reply = judge.ask(node, what, **order)
        assert reply["code"] == code, reply
        for word in words:
            assert word in reply["reason"]
        assert "last words" not in reply["reason"]
        assert serves(judge, node) == number


@pytest.mark.ours
def test_stderr_goes_out_when_told(federation):
    """By default it does not: test_ends_of_apps()."""
    federation.start_superlink()
    node = federation.start_node(options={"--stderr-in-replies": True})
    federation.expect(FAILED, TOLD)
    judge = federation.judge()
    (node_id,) = judge.nodes(1)
    reply = judge.ask(node_id, "exit", status=3, **{"at-once": False})
    assert reply["code"] == 8
    assert "exited with status 3" in reply["reason"] and "last words" in reply["reason"]
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
    os.kill(worker, signal.SIGKILL)
    reply = judge.reply(message)
    assert reply["code"] == 8
    assert "worker" in reply["reason"] and "SIGKILL" in reply["reason"]
    federation.wait_gone(pids)
    assert serves(judge, node_id) == 1


@pytest.mark.ours
def test_app_killed(one_node, tmp_path):
    """From outside, while it sits in a native call; all that it has started goes with it."""
    federation, _, node, judge = one_node
    federation.expect(FAILED, TOLD)
    app_killed(federation, judge, node, tmp_path / "at-work")
    assert serves(judge, node) == 1


@pytest.mark.ours
def test_supernode_killed(one_node, tmp_path):
    """Nothing of it is left, though the app cannot look around."""
    federation, node, node_id, judge = one_node
    _, pids = at_work(judge, node_id, tmp_path / "at-work")
    tree = tree_of(node.pid)
    assert set(pids) <= set(tree) and len(tree) >= 6
    node.kill()
    federation.wait_gone(tree)


@pytest.mark.ours
def test_reaper_killed(federation, tmp_path):
    """All messages at work are answered with an error; nothing of the node is left."""
    federation.start_superlink()
    node = federation.start_node(options={"--max-workers": 2})
    federation.expect(FAILED, REAPER_ENDED)
    judges = [federation.judge(), federation.judge()]
    (node_id,) = judges[0].nodes(1)
    sent = [at_work(judge, node_id, tmp_path / str(n))[0] for n, judge in enumerate(judges)]
    tree = tree_of(node.pid)
    os.kill(node.popen.pid, signal.SIGKILL)
    for judge, message in zip(judges, sent):
        reply = judge.reply(message)
        assert reply["code"] == 8 and "SuperNode was killed" in reply["reason"], reply
    federation.wait_gone(tree)


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
    reply = judge.reply(message)
    assert reply["code"] == 8
    assert node.wait(30) == 0
    federation.wait_gone(tree)


@pytest.mark.ours
def test_stopped_while_ending(one_node, tmp_path):
    """A message that ends within the grace period is answered with its result."""
    _, node, node_id, judge = one_node
    stopped_while_ending(node, node_id, judge, tmp_path / "pipe")
    assert node.wait(30) == 0


@pytest.mark.ours
def test_worker_timeout(federation, tmp_path):
    federation.start_superlink()
    node = federation.start_node(options={"--worker-timeout": 8})
    federation.expect(FAILED, TOLD)
    judge = federation.judge()
    (node_id,) = judge.nodes(1)
    message, pids = at_work(judge, node_id, tmp_path / "at-work")
    reply = judge.reply(message)
    assert reply["code"] == 8
    federation.wait_gone(pids)
    assert serves(judge, node_id) == 1


@pytest.mark.ours
def test_time_over(one_node, tmp_path):
    """The ttl ends before the app does: the error reply is there before the SuperLink drops it."""
    federation, _, node, judge = one_node
    federation.expect(FAILED, TOLD)
    message, pids = at_work(judge, node, tmp_path / "at-work", ttl=10.0)
    reply = judge.reply(message)
    assert reply["code"] == 8 and "ttl" in reply["reason"]
    federation.wait_gone(pids)
    assert serves(judge, node) == 1


@pytest.mark.ours
def test_app_hangs_up(one_node, tmp_path):
    """It closes all that it has open, its connection too, and lives on."""
    federation, _, node, judge = one_node
    federation.expect(FAILED, TOLD)
    file = tmp_path / "hidden"
    message = judge.send(node, "hide", file=str(file))
    wait_until(file.exists, "the app hides", 30)
    reply = judge.reply(message)
    assert reply["code"] == 8 and "closed its connection" in reply["reason"], reply
    federation.wait_gone([int(file.read_text(encoding="utf-8"))])
    assert serves(judge, node) == 1


@pytest.mark.ours
def test_daemon_of_app(one_node, tmp_path):
    """What the app leaves behind holds its stderr: the reply does not wait for it."""
    federation, _, node, judge = one_node
    federation.expect(FAILED, TOLD)
    file = tmp_path / "left"
    message = judge.send(node, "daemon", file=str(file))
    wait_until(file.exists, "the app leaves", 30)
    reply = judge.reply(message)
    assert reply["code"] == 8 and "exited with status 5" in reply["reason"]
    assert serves(judge, node) == 1
    federation.wait_gone([int(file.read_text(encoding="utf-8"))])


@pytest.mark.ours
def test_end_of_app(one_node, tmp_path):
    """The reply is there before the app ends as Python does; the next message waits for that."""
    federation, _, node, judge = one_node
    app, pipe, file = at_its_end(judge, node, tmp_path)
    assert alive(app)
    later = judge.send(node, "count")
    pipe.write_text("go on", encoding="utf-8")
    assert judge.reply(later)["code"] == 0
    assert not alive(app)
    assert file.read_text(encoding="utf-8") == "row thread exit"


@pytest.mark.ours
def test_app_exit_grace(federation, tmp_path):
    """An app that does not end is cut off, and a line says so."""
    federation.start_superlink()
    node = federation.start_node(options={"--app-exit-grace": 0.5})
    federation.expect(r"cut off")
    judge = federation.judge()
    (node_id,) = judge.nodes(1)
    app, _, file = at_its_end(judge, node_id, tmp_path)
    assert serves(judge, node_id) == 1
    assert not alive(app) and file.read_text(encoding="utf-8") == ""
    assert node.find(r"WARN .*1 app: cut off at its end, 0.5 s after its reply .*SIGTERM")


@pytest.mark.ours
@pytest.mark.parametrize("patient", [True, False])
def test_stopped_at_the_end_of_app(federation, tmp_path, patient):
    """The grace of a stop holds for an app that has replied, too."""
    federation.start_superlink()
    node = federation.start_node(options={"--grace": 60 if patient else 0.1})
    judge = federation.judge()
    (node_id,) = judge.nodes(1)
    if not patient:
        federation.expect(r"cut off at its end, when it was told to stop", r"stopping: the grace")
    app, pipe, file = at_its_end(judge, node_id, tmp_path)
    node.signal(signal.SIGTERM)
    node.wait_log(r"unregistered|left|stopping", 10)
    if patient:
        assert alive(app)
        pipe.write_text("go on", encoding="utf-8")
    assert node.wait(30) == 0
    assert not alive(app)
    assert file.read_text(encoding="utf-8") == ("row thread exit" if patient else "")


@pytest.mark.ours
def test_file_size_limit(one_node):
    """An app that may write no file at all, the reply neither, is answered for."""
    federation, _, node, judge = one_node
    federation.expect(FAILED, TOLD)
    reply = judge.ask(node, "limit", number=100000)
    assert reply["code"] == 8 and "RLIMIT_FSIZE" in reply["reason"], reply
    assert serves(judge, node) == 1


@pytest.mark.ours
def test_file_size_limit_of_node(one_node):
    """A message that needs a larger file is answered with an error; nothing ends."""
    federation, node, node_id, judge = one_node
    federation.expect(FAILED, TOLD)
    resource.prlimit(node.pid, resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
    reply = judge.ask(node_id, "echo", arrays={"a": {"x": 4 << 20}})
    assert reply["code"] == 8 and "File too large" in reply["reason"], reply
    assert serves(judge, node_id) == 1


@pytest.mark.ours
def test_long_reason(one_node):
    """An exception's text arrives whole."""
    federation, _, node, judge = one_node
    federation.expect(FAILED, TOLD)
    reply = judge.ask(node, "raise-long", number=1000000)
    assert reply["code"] == 2
    assert reply["reason"] == "<class 'ValueError'>:<'" + "x" * 1000000 + "!'>"
    assert serves(judge, node) == 1


@pytest.mark.ours
def test_orphans_of_app(one_node):
    """A process whose parent has ended is no child of the app's, and goes when the app does."""
    federation, _, node, judge = one_node
    reply = judge.ask(node, "orphan")
    assert reply["code"] == 0, reply
    assert reply["metrics"]["orphan"]["children"] == 0
    federation.wait_gone([reply["metrics"]["orphan"]["pid"]])
    assert serves(judge, node) == 1


@pytest.mark.ours
def test_supernode_killed_worker_stopped(one_node, tmp_path):
    """The worker cannot see that its SuperNode has gone, and yet nothing is left of it."""
    federation, node, node_id, judge = one_node
    _, pids = at_work(judge, node_id, tmp_path / "at-work")
    worker = int(node.find(r"worker started: .*pid=(\d+)").group(1))
    os.kill(worker, signal.SIGSTOP)
    node.kill()
    try:
        federation.wait_gone([worker, *pids])
    finally:
        for pid in (worker, *pids):
            if alive(pid):
                os.kill(pid, signal.SIGKILL)


@pytest.mark.ours
@pytest.mark.parametrize("moment", [r"message received", r"worker started", r"app ready"])
def test_supernode_killed_early(one_node, tmp_path, moment):
    """Whatever has been started by then goes with it."""
    federation, node, node_id, judge = one_node
    others = set(federation.marked()) - {node.pid, node.popen.pid}
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    judge.send(node_id, "wait", pipe=str(pipe))
    node.wait_log(moment)
    node.kill()
    wait_until(lambda: set(federation.marked()) <= others, "nothing of it is left", 60)
