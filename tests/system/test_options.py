"""What the options of flower-supernode do, and what its surroundings do to it."""

import re
from pathlib import Path

import pytest

from federation.processes import free_ports
from judge import serves

pytestmark = pytest.mark.ours

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
    assert len(node.text().splitlines()) == 1


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
