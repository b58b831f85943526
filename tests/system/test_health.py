"""--health-server-address: what an orchestrator is told while a node lives."""

import contextlib
import os
import queue
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from federation.http2 import Connection, headers, reset
from federation.release import find

CLIENT = Path(__file__).parent / "health_client.py"


class Orchestrator:
    """What it hears, by kind of call, in order."""

    def __init__(self, process):
        self.process = process
        self.heard = {kind: queue.Queue() for kind in ("check", "watch", "details")}
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        for line in self.process.stdout:
            kind, status = line.split()
            self.heard[kind].put(status)

    def check(self, service=""):
        self.process.stdin.write(f"{service}\n")
        self.process.stdin.flush()
        return self.heard["check"].get(timeout=30)

    def hears(self, status):
        assert self.heard["watch"].get(timeout=60) == status


@pytest.fixture
def orchestrator():
    """An orchestrator of the node with this health address."""
    try:
        release = find("1.41.0")
    except LookupError as error:
        pytest.skip(str(error))
    with contextlib.ExitStack() as stack:

        def begin(address):
            argv = [release.python, "-B", CLIENT, address]
            process = subprocess.Popen(
                argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
            stack.enter_context(process)
            stack.callback(process.kill)
            return Orchestrator(process)

        yield begin


def healthcheck(address):
    """(exit status, what it says) of a container's health check."""
    program = Path(os.environ["FLWR_BIN_DIR"]) / "flower-supernode"
    argv = [program, "--healthcheck", address]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    (line,) = (done.stdout + done.stderr).splitlines()
    return done.returncode, line


@pytest.fixture
def launcher(tmp_path):
    """The argv of a launcher with a health address to come, whose SuperNode is not there."""
    argv = [Path(os.environ["FLWR_BIN_DIR"]) / "flower-superexec", "--insecure"]
    argv += ["--runtime-api-address", "127.0.0.1:1", "--flwr-dir", tmp_path / "home"]
    return [*argv, "--python", sys.executable, "--health-server-address"]


@contextlib.contextmanager
def serving(argv):
    """(health address, lines that the launcher writes from now on); it has to end well."""
    with subprocess.Popen(argv, stderr=subprocess.PIPE, text=True) as process:
        try:
            lines = iter(process.stderr.readline, "")
            said = (re.search(r"health: listening at (127\.0\.0\.1:\d+)$", each) for each in lines)
            yield next(found.group(1) for found in said if found), lines
        finally:
            process.terminate()
            process.communicate(timeout=30)
    assert process.returncode == 0


@pytest.mark.ours
def test_launcher(launcher):
    """flower-superexec answers as Flower's does, whether its SuperNode is there or not."""
    with serving([*launcher, "127.0.0.1:0"]) as (address, _):
        assert healthcheck(address) == (0, f"{address}: serving")
    taken = subprocess.run(
        [*launcher, "192.0.2.1:9"], capture_output=True, text=True, timeout=60, check=False
    )
    assert taken.returncode == 1
    assert "cannot listen at 192.0.2.1:9: " in taken.stderr


@pytest.mark.ours
def test_launcher_watched(launcher, orchestrator):
    """A caller that watches is told when the launcher ends."""
    with serving([*launcher, "127.0.0.1:0"]) as (address, _):
        watcher = orchestrator(address)
        watcher.hears("SERVING")
        assert watcher.check() == "SERVING"
    watcher.hears("UNAVAILABLE")
    assert watcher.heard["details"].get(timeout=30) == "the-server-is-ending"


@pytest.mark.ours
def test_launcher_guarded(launcher):
    """A peer that takes back one call after the other is cut off; others are served."""
    check = "/grpc.health.v1.Health/Check"
    with serving([*launcher, "127.0.0.1:0"]) as (address, lines):
        with Connection(address) as connection:
            connection.shake_hands()
            numbers = range(1, 4001, 2)
            connection.send(b"".join(headers(each, check) + reset(each) for each in numbers))
            connection.wait_end()
        assert any("takes back too many calls: closed" in each for each in lines)
        assert healthcheck(address) == (0, f"{address}: serving")


@pytest.mark.ours
def test_healthcheck(federation):
    """What Docker's HEALTHCHECK and Kubernetes' exec probes are told."""
    node = federation.start_node(options={"--health-server-address": "127.0.0.1:0"}, wait=False)
    address = node.wait_log(r"health: listening at (\S+)$").group(1)
    federation.expect(r"trying again in")
    assert healthcheck(address) == (1, f"flower-supernode: {address}: not serving")
    federation.start_superlink()
    federation.wait_registered(node)
    assert healthcheck(address) == (0, f"{address}: serving")
    assert healthcheck(address.replace("127.0.0.1", "localhost"))[0] == 0
    # Another server at gRPC, and none at all.
    status, said = healthcheck(federation.address)
    assert status == 1 and "no health service answers" in said
    assert node.stop() == 0
    status, said = healthcheck(address)
    assert status == 1 and re.search(r"no health service answers at \S+: UNAVAILABLE", said)


@pytest.mark.ours
def test_health(federation, orchestrator):
    """Not before it has registered; not while it has to register anew; not when it stops."""
    federation.expect(r"trying again in", r"SuperLink .*forgotten")
    node = federation.start_node(options={"--health-server-address": "127.0.0.1:0"}, wait=False)
    watcher = orchestrator(node.wait_log(r"health: listening at (\S+)$").group(1))
    watcher.hears("NOT_SERVING")
    assert watcher.check() == "NOT_SERVING"
    assert watcher.check("flwr.proto.Fleet") == "NOT_FOUND"
    federation.start_superlink()
    federation.wait_registered(node)
    watcher.hears("SERVING")
    assert watcher.check() == "SERVING"
    # Dead for a moment it is no reason for alarm (a minute is: unit.supernode.fleet.join).
    federation.superlink.kill()
    node.wait_log(r"WARN .*trying again in")
    assert watcher.check() == "SERVING"
    start = node.size()
    federation.start_superlink()
    watcher.hears("NOT_SERVING")
    federation.wait_registered(node, start)
    watcher.hears("SERVING")
    assert watcher.check() == "SERVING"
    assert node.stop() == 0
    watcher.hears("NOT_SERVING")
    watcher.hears("UNAVAILABLE")
    assert node.find(r"health: calls: .*Check OK n=[45] ")
