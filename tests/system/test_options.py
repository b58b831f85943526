"""What the options of the programs do, and what their surroundings do to them."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from federation.processes import free_ports, wait_until
from judge import at_work, serves
from tested import AS_ROOT

pytestmark = [pytest.mark.ours, pytest.mark.shared]

FAILED = r"message failed: "
TOLD = r"(WARN|ERROR)\s+supernode: \d+: "


def node_of(federation, **options):
    """(node, its id, judge) of a SuperNode with these options."""
    federation.start_superlink()
    options = {f"--{name.replace('_', '-')}": value for name, value in options.items()}
    node = federation.start_node(options=options)
    judge = federation.judge()
    (node_id,) = judge.nodes(1)
    return node, node_id, judge


def test_flwr_dir(federation, tmp_path):
    """Apps are installed below it, and nothing in the Flower home."""
    place = tmp_path / "place"
    node, node_id, judge = node_of(federation, flwr_dir=place)
    reply = judge.ask(node_id, "context")
    assert str(place / "apps") + "/" in reply["configs"]["known"]["json"]
    assert list((place / "apps").glob("*/pyproject.toml"))
    assert not list((federation.folder / "homes" / node.name).rglob("pyproject.toml"))


def test_memory_budget(federation):
    """What is too large is answered with an error that says why; the rest goes on."""
    _, node, judge = node_of(federation, memory_budget="2M")
    federation.expect(FAILED, TOLD, r"refused: ")
    for what, order in (("echo", {"bytes": 5_000_000}), ("large", {"number": 5_000_000})):
        reply = judge.ask(node, what, **order)
        assert reply["code"] == 8 and "budget" in reply["reason"], reply
    assert serves(judge, node) == 1
    assert judge.ask(node, "echo", bytes=500_000)["bytes"] == 500_000


def test_max_retries(federation):
    """Nobody listens: one more try, then status 1 and a line that says which and how often."""
    (port,) = free_ports(1)
    federation.expect(r"trying again in", r"gave up on SuperLink")
    node = federation.start_node(
        options={"--max-retries": 1}, superlink=f"127.0.0.1:{port}", wait=False
    )
    assert node.wait(30) == 1
    assert node.find(rf"ERROR .*gave up on SuperLink 127\.0\.0\.1:{port} after .*2 tries")
    assert len(re.findall(r"trying again in", node.text())) == 1


def test_address_is_told_at_every_log_level(federation):
    federation.start_superlink()
    options = {"--log-level": "warn", "--clientappio-api-address": "127.0.0.1:0"}
    node = federation.start_node(options=options, wait=False)
    port = node.wait_log(r"worker API: address=127\.0\.0\.1:(\d+)$").group(1)
    assert int(port) > 0
    judge = federation.judge()
    (node_id,) = judge.nodes(1)
    assert serves(judge, node_id) == 1
    assert len([line for line in node.text().splitlines() if AS_ROOT not in line]) == 1


def test_no_python(federation, tmp_path):
    """An error reply and a line that says what to do; served once it is there."""
    python = tmp_path / "python3"
    runs = f'#!/bin/sh\nexec "{federation.bin}/python" "$@"\n'
    python.write_text(runs, encoding="utf-8")
    python.chmod(0o755)
    node, node_id, judge = node_of(federation, python=python)
    python.unlink()
    federation.expect(FAILED, TOLD, r"app: could not be started: ")
    reply = judge.ask(node_id, "count")
    assert reply["code"] == 1
    assert reply["reason"].startswith("An exception was raised when attempting to load `ClientApp`")
    assert str(tmp_path) not in reply["reason"]
    assert node.find(rf"ERROR .*{python}.*--python")
    python.write_text(runs, encoding="utf-8")
    python.chmod(0o755)
    assert serves(judge, node_id) == 1


def test_descriptors(one_node):
    """As many as it may have: each worker that connects takes some."""
    _, node, _, _ = one_node
    limits = Path(f"/proc/{node.pid}/limits").read_text(encoding="utf-8")
    soft, hard = re.search(r"^Max open files +(\w+) +(\w+)", limits, re.MULTILINE).groups()
    assert soft == hard


@pytest.fixture
def parent():
    """A process whose end is waited for."""
    with subprocess.Popen(["sleep", "1000"]) as process:
        yield process
        process.kill()


def test_port(federation):
    """--host and --port are where workers connect."""
    (port,) = free_ports(1)
    node, node_id, judge = node_of(federation, host="127.0.0.1", port=port)
    assert node.find(rf"worker API: address=127\.0\.0\.1:{port}$")
    assert serves(judge, node_id) == 1


@pytest.mark.parametrize("program", ["flwr-clientapp", "flower-superexec"])
def test_parent_of_launcher(federation, tmp_path, parent, program):
    """It ends with that process, and so does what it has at work; the node answers for it."""
    (port,) = free_ports(1)
    address = f"127.0.0.1:{port}"
    _, node_id, judge = node_of(federation, isolation="process", port=port)
    federation.expect(FAILED, r"message \d+ ", r"worker's connection", r"(WARN|ERROR) .*message")
    name = federation.name(program)
    launcher = federation.start(
        name,
        [
            *(federation.binaries / program, "--insecure", "--runtime-api-address", address),
            *("--parent-pid", parent.pid, "--python", federation.bin / "python"),
        ],
        federation.environ(name),
    )
    message, pids = at_work(judge, node_id, tmp_path / "at-work")
    parent.kill()
    assert launcher.wait() == 0
    assert launcher.find(r"INFO +clientapp: the process of --parent-pid has ended: stopping")
    federation.wait_gone(pids)
    assert judge.reply(message, 60)["code"] == 8


@pytest.mark.parametrize("arguments", [["--token", "1"], []])
def test_parent_is_gone(federation, arguments, parent):
    """There is nothing to wait for."""
    parent.kill()
    parent.wait()
    name = federation.name("flwr-clientapp")
    argv = [federation.binaries / "flwr-clientapp", "--insecure", "--parent-pid", parent.pid]
    argv += ["--python", federation.bin / "python", *arguments]
    worker = federation.start(name, argv, federation.environ(name))
    assert worker.wait() == 0
    assert worker.find(rf"process {parent.pid} \(--parent-pid\) has ended already")


def test_parent_of_worker(federation, desk, tmp_path, parent):
    """With a token: the message is answered, the app ends."""
    federation.expect(FAILED)
    _, node_id, judge = node_of(federation, host="127.0.0.1", port=0)
    file = tmp_path / "at-work"
    message = judge.send(node_id, "sit", file=str(file), seconds=1000)
    place, token, address = desk.worker()
    token_file = tmp_path / "token"
    token_file.write_text(f"{token}\n", encoding="utf-8")
    name = federation.name("flwr-clientapp")
    worker = federation.start(
        name,
        [
            *(Path(os.environ["FLWR_BIN_DIR"]) / "flwr-clientapp", "--insecure"),
            *("--runtime-api-address", address, "--token-file", token_file),
            *("--parent-pid", parent.pid, "--python", federation.bin / "python"),
        ],
        federation.environ(name),
    )
    wait_until(file.exists, "the app is at work", 30)
    pids = [int(pid) for pid in file.read_text(encoding="utf-8").split()]
    parent.kill()
    reply = judge.reply(message)
    assert reply["code"] == 8 and "stopped" in reply["reason"], reply
    assert worker.wait() == 0
    federation.wait_gone(pids)
    place.close()
