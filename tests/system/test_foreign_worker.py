"""--clientapp-command: another worker program, with what ours get: Flower's own flwr-clientapp."""

import os
import re
import shlex
import signal
from pathlib import Path

import pytest
from judge import app_killed, at_work, echoes, fails, serves
from test_releases import check, run, use

from federation import release
from federation.processes import wait_until

pytestmark = [pytest.mark.ours, pytest.mark.shared]

FAILED = r"message failed: "

ALL = os.environ.get("FLWR_TEST_ALL_RELEASES") == "1"
# The first and the last release of each dialect of the worker API (docs/protocol.md), at a SuperLink
# of the same release; the last at a SuperLink of dialect B (1.22); the first whose worker calls what 1.34's
# does (1.32). test_newest_isolation.py has those from 1.34 on.
MINORS = (18, 20, 21, 22, 25, 26, 29, 30, 32, 33) if ALL else ()
VERSIONS = [each for each in release.known() if int(each.split(".")[1]) in MINORS]


@pytest.fixture
def foreign(federation):
    """(federation, SuperNode that starts Flower's worker, its id, judge)"""
    federation.start_superlink()
    options = {"--clientapp-command": str(federation.bin / "flwr-clientapp")}
    node = federation.start_node(options=options)
    judge = federation.judge()
    (node_id,) = judge.nodes(1)
    return federation, node, node_id, judge


def test_messages(foreign):
    federation, _, node, judge = foreign
    federation.expect(FAILED)
    assert serves(judge, node) == 1
    fails(judge, node)
    assert serves(judge, node) == 2


def test_template(federation, tmp_path):
    """Words as in a shell, values in their places, the worker's parent is our flwr-clientapp."""
    script = tmp_path / "a worker"
    script.write_text(
        '#!/bin/sh\necho "words: $# $1|$2|$3|$PPID"\nstat -c "token file: %a %n" "$4"\n'
        'token=$(cat "$4")\nshift 4\nexec "$@" --token "$token"\n',
        encoding="utf-8",
    )
    script.chmod(0o755)
    federation.start_superlink()
    worker = federation.bin / "flwr-clientapp"
    template = (
        f"'{script}' one\\ word \"$TWO\" {{parent_pid}} {{token_file}} {worker} --insecure"
        " --clientappio-api-address={address}"
    )
    options = {"--clientapp-command": template}
    node = federation.start_node(options=options, env={"TWO": "two  words"})
    judge = federation.judge()
    (node_id,) = judge.nodes(1)
    assert serves(judge, node_id) == 1
    # By flwr-app-start and sh our flwr-clientapp is the parent: the worker's process itself.
    line = node.find(r"1 out: words: 7 one word\|two  words\|(\d+)\|(\d+)$")
    assert line and line.group(1) == line.group(2)
    assert node.find(rf"worker started: message=1 pid={line.group(1)}$")
    # Only this user can read the token there, and only while the message is at work.
    file = Path(node.find(r"1 out: token file: 600 (/\S+)$").group(1))
    wait_until(lambda: not file.exists(), "the token's file is removed", 30)


@pytest.mark.parametrize(
    "what, order, says",
    [
        ("signal", {"signal": int(signal.SIGSEGV)}, "SIGSEGV"),
        ("signal", {"signal": int(signal.SIGKILL)}, "SIGKILL"),
        ("exit", {"status": 3, "at-once": True}, "status 3"),
        ("exit", {"status": 0, "at-once": True}, "status 0"),
    ],
)
def test_ends(foreign, what, order, says):
    """The reason is the worker's end, not our flwr-clientapp's; the next message is served."""
    federation, process, node, judge = foreign
    federation.expect(FAILED)
    reply = judge.ask(node, what, **order)
    assert reply["code"] == 8 and says in reply["reason"], reply
    assert "last words" not in reply["reason"]
    if what == "exit":
        assert "last words" in process.text()
    assert serves(judge, node) == 1


def test_supernode_killed(foreign, tmp_path):
    """Nothing of the worker outlives the supervisor."""
    federation, node, node_id, judge = foreign
    _, pids = at_work(judge, node_id, tmp_path / "at-work")
    clientapp = int(node.find(r"worker started: message=1 pid=(\d+)").group(1))
    node.kill()
    federation.wait_gone([clientapp, *pids])


def test_worker_timeout(federation, tmp_path):
    federation.start_superlink()
    options = {"--clientapp-command": str(federation.bin / "flwr-clientapp")}
    federation.start_node(options={**options, "--worker-timeout": 8})
    federation.expect(FAILED)
    judge = federation.judge()
    (node,) = judge.nodes(1)
    message, pids = at_work(judge, node, tmp_path / "at-work")
    reply = judge.reply(message)
    assert reply["code"] == 8 and "--worker-timeout" in reply["reason"]
    federation.wait_gone(pids)
    assert serves(judge, node) == 1


def test_never_begins(federation, tmp_path):
    """A program that is there at the start and is not when it is needed."""
    script = tmp_path / "worker"
    script.write_text("#!/nonexistent/interpreter\n", encoding="utf-8")
    script.chmod(0o755)
    federation.start_superlink()
    node = federation.start_node(options={"--clientapp-command": str(script)})
    federation.expect(FAILED)
    judge = federation.judge()
    (node_id,) = judge.nodes(1)
    reply = judge.ask(node_id, "count")
    assert reply["code"] == 8 and "127" in reply["reason"]
    assert node.find(r"cannot execute")


# ---- workers of other releases ----


def command_of(workers, *token):
    """The template for a worker of that release: a process for each message."""
    program, *arguments = workers.worker("{address}", *(token or ("--token", "{token}")))
    return " ".join([shlex.quote(str(workers.bin / program)), *arguments])


def check_worker(federation, node, node_id, judge, folder):
    """State and a worker's death, with --all-releases also an error and contents, are what they are
    with our worker; each message has a process of its own."""
    assert serves(judge, node_id) == 1
    app_killed(federation, judge, node_id, folder / "at-work")
    assert serves(judge, node_id) == 2
    if ALL:
        fails(judge, node_id)
        echoes(judge, node_id)
    started = re.findall(r"worker started: message=(\d+) pid=\d+$", node.text(), re.MULTILINE)
    assert started == [str(number) for number in range(1, 6 if ALL else 4)]


@pytest.mark.alone
@pytest.mark.parametrize("version", VERSIONS)
def test_other_releases(federation, tmp_path, version, record_property):
    use(federation, version, record_property)
    federation.expect(FAILED)
    federation.start_superlink()
    options = {"--clientapp-command": command_of(federation.release)}
    if federation.release.minor <= 20:  # the judge's app has no names for what these call theirs
        for partition in (0, 1):
            federation.start_node(f"partition-id={partition} num-partitions=2", options)
        check(federation, run(federation, tmp_path / "result"))
        return
    node = federation.start_node(options=options)
    judge = federation.judge()
    (node_id,) = judge.nodes(1)
    check_worker(federation, node, node_id, judge, tmp_path)
