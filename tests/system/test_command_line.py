"""Wrong options: one line that names the right one, and status 2."""

import os
import re
import socket
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.ours

SUPERNODE = [
    # arguments; what the line must say
    ([], "--insecure"),
    (["--insecure", "--nonsense"], "--nonsense"),
    (["--insecure", "extra"], "extra"),
    (["--insecure", "--superlink"], "--superlink"),
    (["--insecure", "--superlink", "http://127.0.0.1:9092"], "--superlink"),
    (["--insecure", "--superlink", "127.0.0.1"], "--superlink"),
    (["--insecure", "--superlink", "127.0.0.1:99999"], "--superlink"),
    (["--insecure", "--isolation", "process"], "--isolation subprocess"),
    (["--insecure", "--isolation", "none"], "subprocess"),
    (["--insecure", "--root-certificates", "ca.pem"], "--root-certificates"),
    (["--root-certificates", "ca.pem"], "--insecure"),
    (["--insecure", "--grpc-adapter"], "--grpc-rere"),
    (["--insecure", "--rest"], "--grpc-rere"),
    (["--insecure", "--auth-supernode-private-key", "key"], "--auth-supernode-private-key"),
    (["--insecure", "--auth-supernode-public-key", "key"], "--auth-supernode-public-key"),
    (["--insecure", "--node-config", "a=b c"], "--node-config"),
    (["--insecure", "--node-config", "not-there.toml"], "--node-config"),
    (["--insecure", "--max-retries", "-1"], "--max-retries"),
    (["--insecure", "--max-retries", "3x"], "--max-retries"),
    (["--insecure", "--max-wait-time", "soon"], "--max-wait-time"),
    (["--insecure", "--grpc-max-message-length", "1000"], "--grpc-max-message-length"),
    (["--insecure", "--grpc-max-message-length", "536870911"], "--grpc-max-message-length"),
    (["--insecure", "--poll-min", "5", "--poll-max", "1"], "--poll-max"),
    (["--insecure", "--log-level", "loud"], "--log-level"),
    (["--insecure", "--clientappio-api-address", "nonsense"], "--clientappio-api-address"),
]
CLIENTAPP = [
    ([], "--token"),
    (["--insecure"], "--token"),
    (["--token", "12"], "--insecure"),
    (["--insecure", "--token", "twelve"], "--token"),
    (["--insecure", "--token", "1", "--nonsense"], "--nonsense"),
    (["--insecure", "--token", "1", "--clientappio-api-address", "nowhere"], "--clientappio-api"),
]


def run(program, arguments):
    path = Path(os.environ["FLWR_BIN_DIR"]) / program
    return subprocess.run(
        [path, *arguments], capture_output=True, text=True, timeout=30, check=False
    )


@pytest.mark.parametrize(
    "program, arguments, says",
    [("flower-supernode", *row) for row in SUPERNODE]
    + [("flwr-clientapp", *row) for row in CLIENTAPP],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_wrong(program, arguments, says):
    done = run(program, arguments)
    assert done.returncode == 2, done
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"{program}: ") and says in line


@pytest.mark.parametrize("program", ["flower-supernode", "flwr-clientapp"])
def test_help_and_version(program):
    for option in ("--version", "-V"):
        done = run(program, [option])
        assert (done.returncode, done.stderr) == (0, "")
        line = rf"{program} \(flwr-native\) \d+\.\d+\.\d+, Flower 1\.15.*\n"
        assert re.fullmatch(line, done.stdout)
    done = run(program, ["--help"])
    assert (done.returncode, done.stderr) == (0, "")
    assert "--clientappio-api-address" in done.stdout
    assert all(len(line) <= 100 for line in done.stdout.splitlines())


def test_port_in_use():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = run("flower-supernode", ["--insecure", "--clientappio-api-address", address])
    assert done.returncode == 2
    assert address in done.stderr.splitlines()[-1]
