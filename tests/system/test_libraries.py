"""Shared libraries that take long to load are loaded when they are first needed, or said to be missing."""

import os
import subprocess
from pathlib import Path

import pytest
from tested import binaries

pytestmark = pytest.mark.ours

PROGRAMS = Path(binaries()).parent / "libexec/flwr-native"


def broken(folder, soname):
    """An environment in which the library of that name is no library."""
    (folder / soname).write_text("no library\n", encoding="utf-8")
    return {**os.environ, "LD_LIBRARY_PATH": str(folder), "FLWR_HOME": str(folder / "home")}


INSIDE = ("libgrpc", "libabsl", "libstdc++", "libgcc_s")  # with -DFLWR_SHARED_GRPC=ON they are not
LATER = ("libarchive", "libcurl", "libmicrohttpd", "libgnutls")


@pytest.mark.parametrize(
    "program, absent",
    [
        ("flower-supernode", (*INSIDE, *LATER)),
        ("flwr-clientapp", (*INSIDE, *LATER)),
        ("flwr-read-manifest", ("libarchive",)),
    ],
)
def test_start(program, absent):
    """What the dynamic loader links before main()."""
    listing = subprocess.run(
        [PROGRAMS / program],
        env={**os.environ, "LD_TRACE_LOADED_OBJECTS": "1"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "libc.so" in listing, listing
    if os.environ.get("FLWR_SHARED_GRPC"):
        absent = set(absent) - set(INSIDE)
    assert not [name for name in absent if name in listing], listing


@pytest.mark.parametrize("soname", ["libcurl.so.4", "libmicrohttpd.so.12"])
def test_node_cannot_start(tmp_path, soname):
    """Without libcurl a node cannot find out what a SuperLink speaks, without libmicrohttpd it cannot
    serve workers of all releases."""
    argv = [PROGRAMS / "flower-supernode", "--insecure", "--superlink", "127.0.0.1:9"]
    node = subprocess.run(
        [*argv, "--clientappio-api-address", "127.0.0.1:0"],
        env=broken(tmp_path, soname),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert node.returncode == 2
    assert f"the shared library {soname} cannot be loaded" in node.stderr, node.stderr


def test_no_address(tmp_path, federation):
    """Workers at the private socket speak gRPC: a node without an address needs no libmicrohttpd."""
    federation.start_superlink()
    node = federation.start_node(env=broken(tmp_path, "libmicrohttpd.so.12"))
    (node_id,) = federation.judge().nodes(1)
    assert node_id and not node.find("libmicrohttpd")


def test_fab_cannot_be_read(federation, tmp_path):
    """Without libarchive no app can be installed: the log and the reply name the library."""
    federation.expect(r"FAB refused: ", r"message failed: ")
    federation.start_superlink()
    node = federation.start_node(env=broken(tmp_path, "libarchive.so.13"))
    judge = federation.judge()
    (node_id,) = judge.nodes(1)
    reply = judge.ask(node_id, "count")
    assert reply["code"] == 7, reply
    assert "the shared library libarchive.so.13 cannot be loaded" in reply["reason"], reply
    assert node.find(r"FAB refused: .*libarchive\.so\.13")
