"""Full runs with SuperLinks of other releases of Flower, and with their packages."""

import json
import os
from pathlib import Path

import pytest
from federation import release
from federation.processes import wait_until
from judge import AWAY, serves
from test_runs import check_averages

APPS = Path(__file__).parent / "apps"
ALL = os.environ.get("FLWR_TEST_ALL_RELEASES") == "1"
USUAL = ("1.15", "1.26", "1.39", "1.41")
VERSIONS = [
    version for version in release.known() if ALL or version.rpartition(".")[0] in USUAL
]
SECURED = VERSIONS if ALL else [v for v in VERSIONS if v.startswith(("1.15.", "1.39.", "1.41."))]
# The judge's app has no names for what Flower 1.16 - 1.20 call theirs.
JUDGED = [version for version in VERSIONS if int(version.split(".")[1]) not in range(16, 21)]

CHANGED = r"SuperLink .*(forgot|register|replaced|answers)"


def use(federation, version, record_property):
    """From now on the federation is of this release."""
    try:
        federation.release = release.find(version)
    except LookupError as missing:
        if ALL:
            raise
        pytest.skip(str(missing))
    if federation.release.minor == 25:
        # What it answers, and no other release, when an object has not arrived there yet.
        federation.expect(r"PullObject failed: .*Both bytes_sent and bytes_recv cannot be zero")
    record_property("release", federation.release.version)
    record_property("transport", federation.release.transport)


def run(federation, result):
    """A run of the app as users of this release write it, on two nodes; what its ServerApp got."""
    app = APPS / ("averaging_grid" if federation.release.has_records_api else "averaging")
    run_id = federation.run(app, f'nodes=2 rounds=2 result="{result}"')

    def ended():
        assert "raised an exception" not in federation.superlink.text()
        return result.exists()

    wait_until(ended, "the run ends", 150, 0.1)
    got = json.loads(result.read_text(encoding="utf-8"))
    assert "failed" not in got, got["failed"]
    assert federation.wait_run(run_id) == "finished:completed"
    return got


def check(federation, got):
    if not federation.release.has_records_api:
        check_averages(got, [1, 2])
        # One of them was asked for the first weights, too.
        assert [sum(each["messages"]) for each in got] == [5, 9]
        return
    check_averages(got["seen"], [1, 2])
    assert [each["messages"] for each in got["seen"]] == [[2, 2], [4, 4]]
    assert got["known"] == [{"greeting": "from the app", "step": step} for step in (1, 2)]
    assert got["errors"] == [[2, "<class 'ZeroDivisionError'>:<'division by zero'>"]] * 2
    federation.expect(r"message failed: .* type=query\.fail .* code=2: ")


def start_nodes(federation):
    for partition in (0, 1):
        federation.start_node(f"partition-id={partition} num-partitions=2", wait=False)
    for node in federation.nodes:
        federation.wait_registered(node, seconds=60)


@pytest.mark.parametrize("version", VERSIONS)
def test_run(federation, tmp_path, version, record_property):
    use(federation, version, record_property)
    federation.start_superlink()
    start_nodes(federation)
    check(federation, run(federation, tmp_path / "result"))


@pytest.mark.parametrize("version", SECURED)
def test_run_with_tls_and_keys(federation, tmp_path, version, record_property):
    """The SuperLink takes only nodes whose keys it has been told."""
    use(federation, version, record_property)
    federation.secure(keys=2)
    federation.start_superlink()
    start_nodes(federation)
    check(federation, run(federation, tmp_path / "result"))


@pytest.mark.ours
@pytest.mark.parametrize("database", [False, True] if ALL else [True])
def test_upgrade(federation, tmp_path, database, record_property):
    """The SuperLink comes back at the same place as a newer release, over another transport."""
    database = tmp_path / "state.sqlite" if database else None
    use(federation, "1.41", record_property)
    newest = federation.release
    use(federation, "1.39", record_property)
    federation.start_superlink(database)
    start_nodes(federation)
    check(federation, run(federation, tmp_path / "before"))
    federation.expect(AWAY, CHANGED)
    starts = [node.size() for node in federation.nodes]
    federation.superlink.stop()
    for node, start in zip(federation.nodes, starts):
        node.wait_log(AWAY, 60, start)
    federation.start_superlink(database, newest)
    check(federation, run(federation, tmp_path / "after"))


def check_with_judge(federation, package, options=None):
    """State, values of the run, errors, large messages; package: whose flwr the app has."""
    federation.start_superlink()
    federation.start_node("partition-id=0", options)
    judge = federation.judge("an-int=7")
    (node_id,) = judge.nodes(1)
    assert [serves(judge, node_id) for _ in range(2)] == [1, 2]
    context = json.loads(judge.ask(node_id, "context")["configs"]["known"]["json"])
    assert context["run_config"]["an-int"] == ["int", 7]
    assert context["flwr"] == package.version
    message = judge.send(node_id, "echo", bytes=20_000_000)
    reply = judge.reply(message)
    assert (reply["bytes"], reply["digest"]) == (20_000_000, judge.digests[message])
    federation.expect(r"message failed: .* code=2: ")
    assert judge.ask(node_id, "raise")["code"] == 2
    assert serves(judge, node_id) == 3


@pytest.mark.parametrize("version", JUDGED)
def test_judge(federation, version, record_property):
    """The other tests' app serves here, too."""
    use(federation, version, record_property)
    check_with_judge(federation, federation.release)


@pytest.mark.ours
@pytest.mark.parametrize("superlink, package", [("1.41", "1.15"), ("1.15", "1.41")])
def test_package_of_another_release(federation, superlink, package, record_property):
    """What the node's Python has need not be what the SuperLink is of."""
    use(federation, package, record_property)
    package = federation.release
    use(federation, superlink, record_property)
    check_with_judge(federation, package, {"--python": package.python})
