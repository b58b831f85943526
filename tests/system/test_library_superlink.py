"""libflwr in programs at SuperLinks of several releases: library-client (tests/kit), as an app that
obeys the judge and as a client of an unmodified ServerApp; an example."""

import contextlib
import json
import os
import resource
import signal
import subprocess

import pytest
from federation.processes import wait_until
from federation.standin import PlainStandIn
from federation.superlink.grpc_link import GrpcLink
from federation.superlink.link import Refusal
from judge import serves
from test_library import BUILD, example
from test_releases import use
from test_runs import AVERAGING, check_averages

pytestmark = pytest.mark.ours

# release, what its SuperLink speaks (None: its default), the option
LINKS = [
    ("1.15", None, "grpc-rere"),
    ("1.15", "rest", "rest"),
    ("1.15", "grpc-adapter", "grpc-adapter"),
    ("1.26", None, "grpc-rere"),
    ("1.26", "rest", "rest"),
    ("1.39", None, "grpc-rere"),
    ("1.39", "grpc-adapter", "grpc-adapter"),
    ("1.41", None, "grpc-rere"),
]


def name_of(link):
    return "-".join(filter(None, link))


ALL = os.environ.get("FLWR_TEST_ALL_RELEASES") == "1"
ENDS = [LINKS[0], LINKS[7]]
SANITIZED = os.environ.get("FLWR_SANITIZE") == "1"
SOME = LINKS if ALL else ENDS if SANITIZED else [*LINKS[:3], LINKS[7]]
# Runs take long: the first one is left out, whose client test_start_client_at_a_superlink has.
RUNS = SOME if ALL or SANITIZED else SOME[1:]


@contextlib.contextmanager
def node_of(federation, *words, env=None):
    """library-client as a node of the federation."""
    name = federation.name("library-client")
    address = federation.address
    if "transport=rest" in words:
        address = f"{'https' if federation.certificates else 'http'}://{address}"
    if federation.certificates and not any(word.startswith(("ca=", "capem=")) for word in words):
        words += (f"ca={federation.certificates.authority}",)
    argv = [BUILD / "tests/library-client", address, *words]
    node = federation.start(name, argv, {**federation.environ(name), **(env or {})})
    node.programs = "ours"
    federation.nodes.append(node)
    yield node


def begin(federation, link, record_property, *words):
    """A SuperLink and a node with the app; (node, its id, judge)"""
    version, fleet_api_type, transport = link
    use(federation, version, record_property)
    federation.fleet_api_type = fleet_api_type
    federation.start_superlink()
    with node_of(federation, "mode=app", "nodes=1", f"transport={transport}", *words) as node:
        federation.wait_registered(node, seconds=60)
    judge = federation.judge("an-int=7")
    (node_id,) = judge.nodes(1)
    return node, node_id, judge


@pytest.mark.parametrize("link", SOME, ids=name_of)
def test_app(federation, link, record_property):
    """State, configurations, errors, large contents, kinds of messages; the end."""
    node, node_id, judge = begin(
        federation, link, record_property, "config=partition-id=3 name=\"a b\""
    )
    assert [serves(judge, node_id) for _ in range(2)] == [1, 2]
    for reply in (judge.ask(node_id, "context"), judge.ask(node_id, "context", type="train")):
        assert reply["code"] == 0, reply
        assert reply["configs"]["node_config"] == {"partition-id": 3, "name": "a b"}
        assert reply["configs"]["run_config"]["an-int"] == 7
        assert reply["configs"]["known"]["node_id"] == str(node_id)
    message = judge.send(node_id, "echo", bytes=20_000_000)
    reply = judge.reply(message)
    assert (reply["bytes"], reply["digest"]) == (20_000_000, judge.digests[message])
    for what, reason in (("raise", "cannot raise"), ("count-and-raise", "cannot count-and-raise")):
        reply = judge.ask(node_id, what)
        assert (reply["code"], reply["reason"]) == (2, reason)
    assert serves(judge, node_id) == 3
    assert node.stop() == 0
    judge.nodes(0)


@pytest.mark.parametrize("link", ENDS, ids=name_of)
def test_a_message_that_is_late(federation, link, record_property):
    """Its ttl is over while the app works: an error reply, and the app is told."""
    node, node_id, judge = begin(federation, link, record_property)
    reply = judge.ask(node_id, "sit", ttl=6.0)
    assert reply["code"] == 8 and "ttl" in reply["reason"], reply
    assert serves(judge, node_id) == 1


@pytest.mark.parametrize("link", ENDS, ids=name_of)
def test_stopped_at_work(federation, link, record_property):
    """The node is stopped while its app works: the reply comes."""
    node, node_id, judge = begin(federation, link, record_property)
    message = judge.send(node_id, "sit")
    node.wait_log("waits to be stopped", 30)
    node.signal(signal.SIGTERM)
    assert judge.reply(message, 30)["code"] == 0
    assert node.wait(30) == 0


def test_restarted_superlink(federation, record_property):
    """It has forgotten the node, which registers again."""
    node, node_id, judge = begin(federation, LINKS[0], record_property)
    assert serves(judge, node_id) == 1
    federation.superlink.kill()
    node.wait_log("trying again", 60)
    start = node.size()
    federation.start_superlink()
    after = federation.wait_registered(node, start, 60)
    again = federation.judge()
    assert again.nodes(1) == [after] != [node_id]
    assert serves(again, after) == 1


def test_told_to_reconnect(federation, record_property):
    """To 1.18 a message may say so, later ones say nothing by it; 0 ends the node."""
    node, node_id, judge = begin(federation, LINKS[0], record_property)
    judge.reply(judge.send_reconnect(node_id, {"seconds": 1}))
    start = node.size()
    federation.wait_registered(node, start, 60)
    (node_id,) = judge.nodes(1)
    judge.reply(judge.send_reconnect(node_id, {"seconds": 0}))
    assert node.wait(60) == 0


@pytest.mark.parametrize("link", [*ENDS, LINKS[5]] if ALL else ENDS, ids=name_of)
def test_keys_and_tls(federation, link, record_property):
    """The SuperLink takes only nodes whose keys it has been told; they are in files, or texts."""
    use(federation, link[0], record_property)
    federation.secure(keys=1)
    federation.start_superlink()
    with node_of(federation, "mode=app", "nodes=1", "transport=grpc-rere", "wait=5") as node:
        assert node.wait(60) == 1
        assert "error FLWR_E_REFUSED" in node.text() or "error FLWR_E_CONNECT" in node.text()
    federation.nodes.clear()
    key, authority = federation.keys[0].private, federation.certificates.authority
    words = [f"key={key}", f"ca={authority}"]
    if link == ENDS[1]:
        words = [f"keypem={key.read_text()}", f"capem={authority.read_text()}"]
    with node_of(federation, "mode=app", "nodes=1", "transport=grpc-rere", *words) as node:
        federation.wait_registered(node, seconds=60)
    judge = federation.judge()
    (node_id,) = judge.nodes(1)
    assert serves(judge, node_id) == 1


@pytest.mark.parametrize("link", RUNS, ids=name_of)
def test_clients(federation, tmp_path, link, record_property):
    """An unmodified ServerApp with FedAvg, two nodes in one process: start_client's client, one by
    client_fn, or start_numpy_client's, which has TLS over REST."""
    version, fleet_api_type, transport = link
    use(federation, version, record_property)
    federation.fleet_api_type = fleet_api_type
    if fleet_api_type == "rest":
        federation.secure()
    mode = {"rest": "numpy", "grpc-adapter": "fn", None: "client"}[fleet_api_type]
    if federation.release.minor == 41:
        mode = "numpy"
    federation.start_superlink()
    with node_of(federation, f"mode={mode}", "nodes=2", f"transport={transport}") as node:
        wait_until(lambda: node.text().count("registered: node_id=") == 2, "two nodes", 60)
    result = tmp_path / "result"
    federation.run(AVERAGING, f'nodes=2 rounds=2 result="{result}"')

    def ended():
        assert "raised an exception" not in federation.superlink.text()
        return result.exists()

    wait_until(ended, "the run ends", 120, 0.1)
    seen = json.loads(result.read_text(encoding="utf-8"))
    check_averages(seen, [1, 2])
    assert [sum(each["messages"]) for each in seen] == [5, 9]


def test_start_client_at_a_superlink(federation, record_property):
    """flwr_start_client() itself; what is left out is not implemented."""
    use(federation, "1.15", record_property)
    federation.start_superlink()
    with node_of(federation, "transport=grpc-rere") as node:
        federation.wait_registered(node, seconds=60)
    judge = federation.judge()
    (node_id,) = judge.nodes(1)
    reply = judge.ask(node_id, "count", type="train")
    assert reply["code"] == 2 and "fitins.parameters" in reply["reason"], reply
    reply = judge.ask(node_id, "count")
    assert (reply["code"], reply["reason"]) == (2, "Invalid message type: query")
    node.kill()
    federation.nodes.clear()


def test_example_poll_loop(federation, record_property):
    use(federation, "1.41", record_property)
    federation.start_superlink()
    name = federation.name("poll-loop")
    reader, writer = os.pipe()
    log = federation.folder / f"{name}.log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [example("poll_loop"), federation.address],
            stdin=reader, stdout=file, stderr=file, env=federation.environ(name),
        )
    os.close(reader)
    try:
        wait_until(lambda: b"registered: node_id=" in log.read_bytes(), "the node", 60)
        judge = federation.judge()
        (node_id,) = judge.nodes(1)
        assert "arrays" in judge.ask(node_id, "count", type="train")["reason"]
        os.close(writer)  # what the program has else to look at
        # The node stays until the reply can have been fetched; the program sleeps meanwhile.
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert process.wait(30) == 0
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 2
    finally:
        process.kill()
        process.wait()


class RefusingHeartbeats(PlainStandIn):
    """A SuperLink that takes none: they are soon tried again, not after half a minute."""

    def Ping(self, request, response):
        raise Refusal("UNAVAILABLE", "no heartbeats now")


def test_heartbeats_while_a_method_works(federation):
    """They go on while the program's thread is busy."""
    superlink = RefusingHeartbeats(GrpcLink, ("", b""))
    federation.expect("Ping failed")
    try:
        argv = [superlink.address, "nodes=1", "transport=grpc-rere", "work=600000", "patience=1"]
        node = federation.start("library-client", [BUILD / "tests/library-client", *argv], os.environ)
        superlink.wait_online()
        message = superlink.send_fit().id
        node.wait_log("fit begins", 60)
        superlink.wait_calls("Ping", 2)
        assert "ends" not in node.text() and not superlink.replies
        node.signal(signal.SIGTERM)
        superlink.wait_reply(message)
        assert node.wait(60) == 0
    finally:
        superlink.close()
