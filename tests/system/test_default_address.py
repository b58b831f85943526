"""A node that is told no address finds a SuperLink that is told none, in a network of their own."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from federation import release
from federation.processes import wait_until

pytestmark = pytest.mark.ours

# Has a network, with loopback up, for as long as it runs.
HOLDER = """
import fcntl, signal, socket, struct

SIOCSIFFLAGS, IFF_UP = 0x8914, 1
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
    fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP))
print("up", flush=True)
signal.pause()
"""
LISTENS = "0A"  # as the kernel writes that state
AWAY = r"SuperLink 127\.0\.0\.1:(8000|9092): (connecting failed: UNAVAILABLE|answers now)"
REGISTERED = r"registered: node_id="
TRYING = r"no --superlink was given: trying what answers at 127\.0\.0\.1:"


class Network:
    """Where all of Flower's ports are free."""

    def __init__(self, federation):
        unshare = ["unshare", "--map-root-user", "--net"]
        if subprocess.run([*unshare, "true"], check=False, timeout=30).returncode:
            pytest.skip("no network of its own can be made here")
        self.federation = federation
        argv = [*unshare, sys.executable, "-B", "-c", HOLDER]
        self.holder = federation.start("network", argv, federation.environ("network"))
        self.holder.wait_log("^up$")

    def start(self, name, program):
        """Start a program of Flower's in there, with no address at all."""
        enter = ["nsenter", "--target", self.holder.pid, "--user", "--preserve-credentials"]
        argv = [*enter, "--net", program, "--insecure"]
        return self.federation.start(name, argv, self.federation.environ(name))

    def start_superlink(self):
        return self.start("superlink", self.federation.bin / "flower-superlink")

    def start_node(self):
        node = self.start("supernode", self.federation.binaries / "flower-supernode")
        node.programs = "ours"
        self.federation.nodes.append(node)
        return node

    def listening(self):
        """The ports at which something listens."""
        folder = Path(f"/proc/{self.holder.pid}/net")
        rows = [
            line.split()
            for file in ("tcp", "tcp6")
            if (folder / file).exists()
            for line in (folder / file).read_text(encoding="ascii").splitlines()[1:]
        ]
        return {int(row[1].rpartition(":")[2], 16) for row in rows if row[3] == LISTENS}


@pytest.fixture
def network(federation):
    return Network(federation)


def use(federation, version):
    try:
        federation.release = release.find(version)
    except LookupError as missing:
        pytest.skip(str(missing))


@pytest.mark.parametrize("version, port", [("1.15", 9092), ("1.39", 9092), ("1.41", 8000)])
def test_default_address(federation, network, version, port):
    """They are tried in turn until a SuperLink is there."""
    use(federation, version)
    federation.expect(AWAY)
    node = network.start_node()
    assert node.wait_log(AWAY).group(1) == "8000"
    network.start_superlink()
    federation.wait_registered(node, seconds=90)
    tried = node.wait_log(rf"{TRYING}{port}$").start()
    assert tried < node.find(REGISTERED).start()
    assert f"superlink=127.0.0.1:{port} " in node.text()


def test_no_fleet_api_at_the_newer_one(federation, network):
    """1.39 has its other API there."""
    use(federation, "1.39")
    network.start_superlink()
    wait_until(lambda: {8000, 9092} <= network.listening(), "the SuperLink listens", 60)
    node = network.start_node()
    federation.wait_registered(node)
    ports = re.findall(rf"{TRYING}(\d+)$", node.text(), re.M)
    assert ports == ["8000", "9092"]
    assert "superlink=127.0.0.1:9092 " in node.text()
