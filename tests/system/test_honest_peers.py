"""Clients by other people's libraries, busy but honest, without a token: the door answers each of their calls."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from federation.processes import accepts, free_ports, wait_until

pytestmark = pytest.mark.ours

CALLS = 600
EMPTY = b"\0\0\0\0\0"  # a gRPC message of no bytes
GRPC = ["-H", "content-type: application/grpc", "-H", "te: trailers"]


def doors(federation):
    """(address of the worker API, of the health service) of a node; no SuperLink is needed."""
    api, health, nobody = free_ports(3)
    federation.expect(r"connecting failed: ")
    federation.start_node(
        superlink=f"127.0.0.1:{nobody}",
        options={
            "--isolation": "process",
            "--clientappio-api-address": f"127.0.0.1:{api}",
            "--health-server-address": f"127.0.0.1:{health}",
        },
        wait=False,
    )
    for port in (api, health):
        wait_until(lambda port=port: accepts(port), "the node listens")
    return f"127.0.0.1:{api}", f"127.0.0.1:{health}"


def load(*arguments):
    """(calls that h2load, of nghttp2, has seen answered with 200; bytes of all bodies)"""
    argv = ["h2load", "-n", str(CALLS), *arguments]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=120)
    calls = re.search(r"status codes: (\d+) 2xx", done.stdout)[1]
    return int(calls), int(re.search(r"\((\d+)\) data", done.stdout)[1])


@pytest.mark.parametrize("connections, streams", [(1, 100), (4, 10), (20, 5)])
def test_nghttp2(federation, tmp_path, connections, streams):
    body = tmp_path / "body"
    body.write_bytes(EMPTY)
    api, health = doors(federation)
    usual = ["-c", str(connections), "-m", str(streams), "-d", body, *GRPC]
    lists = f"http://{api}/flwr.proto.ClientAppIo/ListAppsToLaunch"
    # A refusal of gRPC's is a 200, too, but has no body: here it is 5 bytes and the message.
    assert load(*usual, lists) == (CALLS, 5 * CALLS)
    assert load(*usual, f"http://{health}/grpc.health.v1.Health/Check") == (CALLS, 7 * CALLS)


def test_http1(federation):
    api, _ = doors(federation)
    assert load("--h1", "-c", "20", "-m", "1", f"http://{api}/health")[0] == CALLS


@pytest.mark.skipif(
    not (shutil.which("go") and Path("/usr/share/gocode/src/google.golang.org/grpc").exists()),
    reason="needs golang-go and golang-google-grpc-dev",
)
def test_grpc_go(federation, tmp_path):
    program = tmp_path / "health"
    source = Path(__file__).parent / "strangers/go/health.go"
    paths = {"GO111MODULE": "off", "GOPATH": "/usr/share/gocode", "GOCACHE": str(tmp_path / "cache")}
    build = ["go", "build", "-o", program, source]
    subprocess.run(build, env={**os.environ, **paths}, check=True)
    _, health = doors(federation)
    done = subprocess.run(
        [program, health], capture_output=True, text=True, check=True, timeout=120
    )
    assert int(done.stdout) == 2000, done.stderr
