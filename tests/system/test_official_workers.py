"""Flower's own launchers and workers, of each release, under our SuperNode: those that somebody else
runs (process isolation), and those that the node runs (--clientapp-command)."""

import os
import shlex
import signal

import pytest
from federation import release
from federation.processes import free_ports
from judge import at_work, serves, wait_known
from kit.relay import Relay
from test_isolation import ENDED, FAILED
from test_releases import check, run, use

pytestmark = pytest.mark.ours

ALL = os.environ.get("FLWR_TEST_ALL_RELEASES") == "1"
# By default what test_foreign_worker.py (1.15) and test_newest_isolation.py (1.34, 1.41) have not.
# From 1.35 on they speak HTTP/1.1, from 1.39 on a task comes with its token.
NEW = (36, 38, 39, 41, 42) if ALL else (39,)
MINORS = (15, 18, 20, 22, 25, 26, 29, 30, 32, 34, *NEW) if ALL else (26, *NEW)
VERSIONS = [each for each in release.known() if int(each.split(".")[1]) in MINORS]
# (of the workers, of the SuperLink)
CROSSES = [("1.26", "1.39"), ("1.34", "1.41"), ("1.36", "1.41"), ("1.42", "1.26")] if ALL else []


MEGABYTES = 2 << 20

# Said when a launcher takes its time, on a busy machine or because it is not there yet.
WAITS = r"no worker has asked for a message"


def come(federation, workers, config=None):
    """(a SuperNode that starts nothing, a launcher of that release)"""
    address = f"127.0.0.1:{free_ports(1)[0]}"
    options = {"--isolation": "process", "--clientappio-api-address": address}
    node = federation.start_node(config, options)
    return node, federation.start_launcher(address, workers)


def command_of(workers):
    program, *arguments = workers.launcher("{address}")
    template = shlex.join([str(workers.bin / program), *arguments]).replace("'", "")
    return template + (" --parent-pid {parent_pid}" if workers.minor >= 20 else "")


def start_command(federation, workers, config=None):
    """A SuperNode that runs a launcher of that release."""
    path = f"{workers.bin}:{os.environ['PATH']}"
    options = {"--clientapp-command": command_of(workers)}
    return federation.start_node(config, options, env={"PATH": path})


def full_run(federation, workers, tmp_path):
    """One node of each kind; contents, state, errors are what they are with our workers."""
    federation.expect(FAILED, WAITS)
    federation.start_superlink()
    come(federation, workers, "partition-id=0 num-partitions=2")
    node = start_command(federation, workers, "partition-id=1 num-partitions=2")
    check(federation, run(federation, tmp_path / "result"))
    for each in federation.nodes:
        assert each.find(r"worker came: ")
    assert node.find(r"launcher started: pid=\d+")
    assert not node.find(r"started again")


@pytest.mark.parametrize("version", VERSIONS)
def test_official_workers(federation, tmp_path, version, record_property):
    use(federation, version, record_property)
    full_run(federation, federation.release, tmp_path)


@pytest.mark.parametrize("workers, superlink", CROSSES)
def test_official_workers_of_another_release(federation, tmp_path, workers, superlink, record_property):
    use(federation, workers, record_property)
    found = federation.release
    use(federation, superlink, record_property)
    full_run(federation, found, tmp_path)


@pytest.mark.parametrize("version", ["1.26", "1.34", "1.41"] if ALL else ["1.26"])
def test_worker_killed(federation, tmp_path, version, record_property):
    """Known by its process, long before its token would be over; the launcher serves the next."""
    use(federation, version, record_property)
    federation.expect(FAILED, ENDED, WAITS)
    federation.start_superlink()
    started, _ = come(federation, federation.release)
    judge = federation.judge()
    (node,) = judge.nodes(1)
    message, pids = at_work(judge, node, tmp_path / "at-work")
    wait_known(started)
    os.kill(pids[0], signal.SIGKILL)
    reply = judge.reply(message, 30)
    assert reply["code"] == 8 and "process has ended" in reply["reason"], reply
    for pid in pids[1:]:
        os.kill(pid, signal.SIGKILL)
    assert serves(judge, node) == 1


@pytest.mark.skipif(not ALL, reason="takes more than a minute: scripts/test --all-releases")
@pytest.mark.parametrize("version", ["1.26", "1.34"])
def test_worker_stopped(federation, tmp_path, version, record_property):
    """It lives and is connected, but says nothing: its token is over after a minute."""
    use(federation, version, record_property)
    federation.expect(FAILED, ENDED, WAITS)
    federation.start_superlink()
    come(federation, federation.release)
    judge = federation.judge()
    (node,) = judge.nodes(1)
    message, pids = at_work(judge, node, tmp_path / "at-work")
    os.kill(pids[0], signal.SIGSTOP)
    try:
        reply = judge.reply(message, 120)
        assert reply["code"] == 8 and "has not said for 60 s" in reply["reason"], reply
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
    assert serves(judge, node) == 1


# test_newest_isolation.py has those from 1.34 on.
SIGNED = ["1.29", "1.30", "1.31", "1.32", "1.33", "1.34"] if ALL else ["1.34"]


@pytest.mark.parametrize("version", SIGNED)
def test_secret(federation, tmp_path, version, record_property):
    """A launcher that has the secret is served, one that has another is not."""
    use(federation, version, record_property)
    federation.expect(r"must sign with the secret", WAITS)
    secrets = []
    for number in (0, 1):
        secrets.append(tmp_path / f"secret-{number}")
        secrets[number].write_text(f"secret {number}", encoding="utf-8")
    federation.start_superlink()
    address = f"127.0.0.1:{free_ports(1)[0]}"
    options = {"--isolation": "process", "--clientappio-api-address": address}
    option = "--superexec-auth-secret-file"
    node = federation.start_node(options={**options, option: secrets[0]})
    federation.start_launcher(address, None, option, secrets[1])
    node.wait_log(r"refused: UNAUTHENTICATED: who asks for work must sign", 60)
    federation.start_launcher(address, None, option, secrets[0])
    judge = federation.judge()
    (node_id,) = judge.nodes(1)
    assert serves(judge, node_id) == 1


@pytest.mark.skipif(not ALL, reason="takes more than a minute: scripts/test --all-releases")
@pytest.mark.parametrize("version", ["1.24", "1.26", "1.28"])
def test_connection_cut(federation, version, record_property):
    """A worker whose calls about objects show no token: its connection is cut while it gets an
    object, and while it gives one back. Its heartbeat on the next one shows who it is."""
    use(federation, version, record_property)
    federation.expect(ENDED, WAITS)
    federation.start_superlink()
    address = f"127.0.0.1:{free_ports(1)[0]}"
    options = {"--isolation": "process", "--clientappio-api-address": address}
    node = federation.start_node(options=options)
    relay = Relay(int(address.rsplit(":", 1)[1]))
    try:
        federation.start_launcher(f"127.0.0.1:{relay.port}")
        judge = federation.judge()
        (node_id,) = judge.nodes(1)
        assert serves(judge, node_id) == 1
        relay.cut_in_answer(MEGABYTES // 2)
        message = judge.send(node_id, "echo", bytes=MEGABYTES)
        assert relay.was_cut.wait(60)
        relay.was_cut.clear()
        relay.cut_when(MEGABYTES // 2)
        assert relay.was_cut.wait(60)
        relay.mend()
        assert judge.reply(message, 60)["code"] == 0
        assert len(node.text().split("the worker is back")) == 3
    finally:
        relay.close()


def test_wrong_kind(federation, tmp_path, record_property):
    """A worker of 1.15 at a SuperLink of 1.34 is told which one is needed, once in the log."""
    use(federation, "1.15.2", record_property)
    workers = federation.release
    use(federation, "1.34", record_property)
    needed = r"need a worker of Flower 1\.20 or later"
    federation.expect(needed, WAITS)
    federation.start_superlink()
    node, _ = come(federation, workers)
    judge = federation.judge()
    (node_id,) = judge.nodes(1)
    message = judge.send(node_id, "count")
    node.wait_log(needed)
    federation.start_launcher(node_address(node))
    assert judge.reply(message)["code"] == 0
    lines = [line for line in node.text().splitlines() if "WARN" in line]
    assert len([line for line in lines if "need a worker" in line]) == 1


def node_address(node):
    return node.find(r"worker API: address=(\S+)").group(1)


def test_launcher_restarted(federation, tmp_path, record_property):
    """One that ends is started again, a wait later; nothing of it outlives the node."""
    use(federation, "1.34", record_property)
    federation.expect(r"launcher \(--clientapp-command\): .*started again in", WAITS)
    federation.start_superlink()
    node = start_command(federation, federation.release)
    judge = federation.judge()
    (node_id,) = judge.nodes(1)
    assert serves(judge, node_id) == 1
    start = node.size()
    os.kill(int(node.find(r"launcher started: pid=(\d+)").group(1)), signal.SIGKILL)
    node.wait_log(r"launcher \(--clientapp-command\): .*SIGKILL.*started again in 1 s", 30, start)
    pid = int(node.wait_log(r"launcher started: pid=(\d+)", 30, start).group(1))
    assert serves(judge, node_id) == 2
    _, pids = at_work(judge, node_id, tmp_path / "at-work")
    node.kill()
    federation.wait_gone([pid, *pids])
