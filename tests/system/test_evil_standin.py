"""The evil SuperLink is one that Flower's own SuperNodes take for a SuperLink, as long as it is
good: so what it does to ours is no fault of its own."""

import contextlib
import os
import signal
import sys
from pathlib import Path

import pytest
from kit.superlink.evil import EvilSuperLink
from kit.superlink.parcels import content_of

from federation.processes import Late, free_ports
from federation.superlink.protos import newest

RELEASES = Path(sys.prefix).parent / "releases"
# release, dialect and transport, its options
NODES = [
    ("1.15.2", "A", "grpc"),
    ("1.22.0", "B", "grpc"),
    ("1.25.0", "C", "grpc"),
    ("1.34.0", "C", "grpc"),
    ("1.39.0", "C", "grpc"),
    ("1.15.2", "A", "rest"),
    ("1.26.1", "C", "rest"),
    ("1.15.2", "A", "adapter"),
    ("1.39.0", "C", "adapter"),
    ("1.41.0", "C", "http"),
]
FLAGS = {"grpc": [], "http": [], "adapter": ["--grpc-adapter"], "rest": ["--rest"]}


def environment_of(release):
    beside = Path(sys.prefix).parent / f"flower-{release}"
    return beside if beside.exists() else RELEASES / release


def start_python_node(federation, environment, release, transport, address):
    number = int(release.split(".")[1])
    port = free_ports(1)[0]
    argv = [environment / "bin/flower-supernode", "--insecure", *FLAGS[transport]]
    argv += ["--superlink", f"http://{address}" if transport == "rest" else address]
    if number >= 35:
        argv += ["--host", "127.0.0.1", "--port", str(port)]
    else:
        argv += ["--clientappio-api-address", f"127.0.0.1:{port}"]
    env = federation.environ("python")
    path = f"{environment / 'bin'}:{os.environ['PATH']}"
    env.update(PATH=path, FLWR_DISABLE_UPDATE_CHECK="1")
    return federation.start("python-supernode", argv, env)


@pytest.mark.parametrize("release, dialect, transport", NODES)
def test_python_node(federation, release, dialect, transport):
    """Messages small and large, one after the other; what comes back is what was sent."""
    environment = environment_of(release)
    if not (environment / "bin/flower-supernode").exists() or not newest():
        pytest.skip(f"Flower {release} is not installed")
    link = EvilSuperLink(dialect, transport)
    try:
        node = start_python_node(federation, environment, release, transport, link.address)
        link.wait_online(60)
        # In dialect B chunks are larger: what is one chunk in both is the same object again.
        for bytes in (0, (4 if dialect == "B" else 20) << 20, 0):
            parcel = link.send(bytes=bytes)
            reply = link.wait_reply(parcel.id, 120)
            assert not reply.message.HasField("error"), reply.message.error
            assert content_of(reply) == parcel.content
            assert parcel.confirmed == (dialect != "A")
        assert not link.wrong
        node.signal(signal.SIGTERM)
        link.wait(lambda: not link.online, "the node's leaving")
        with contextlib.suppress(Late):  # some of them never end after that, sometimes
            node.stop(5)
    finally:
        link.close()
