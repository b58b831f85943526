"""SuperLinks that speak REST, or by the adapter, and nothing else."""

import re

import pytest
from federation import release
from judge import AWAY, serves
from kit.superlink.evil import EvilSuperLink
from test_releases import ALL, CHANGED, check, run, start_nodes, use

# The last minor release that has it, and its name in log lines.
TRANSPORTS = {"rest": (32, "REST"), "grpc-adapter": (39, "gRPC by the adapter")}
NAMES = {transport: name for transport, (_, name) in TRANSPORTS.items()}
GUESSES = ["grpc-rere", *TRANSPORTS]
NO_KEYS = r"speaks .*, over which nodes have no keys: the one that was given is not used"

pytestmark = pytest.mark.ours


def cases(*usual):
    """All releases that have the transport, or the usual ones."""
    return [
        (transport, version)
        for transport, (last, _) in TRANSPORTS.items()
        for version in release.known()
        if int(version.split(".")[1]) <= last and (ALL or version.rpartition(".")[0] in usual)
    ]


def use_transport(federation, transport, version, record_property):
    use(federation, version, record_property)
    federation.fleet_api_type = transport
    record_property("transport", NAMES[transport])
    if transport == "rest" and federation.release.minor == 25:
        federation.expect("PullObject failed: INTERNAL ")  # REST says no more than that


@pytest.mark.parametrize("transport, version", cases("1.15", "1.26"))
def test_run(federation, tmp_path, transport, version, record_property):
    use_transport(federation, transport, version, record_property)
    federation.start_superlink()
    start_nodes(federation)
    check(federation, run(federation, tmp_path / "result"))


@pytest.mark.parametrize("keys", [0, 2])
@pytest.mark.parametrize("transport, version", cases("1.15"))
def test_run_with_tls(federation, tmp_path, transport, version, keys, record_property):
    """Without keys, and with some, at which SuperLinks look over no transport of these."""
    use_transport(federation, transport, version, record_property)
    federation.secure(keys=keys)
    if keys:
        federation.expect(NO_KEYS)
    federation.start_superlink()
    start_nodes(federation)
    check(federation, run(federation, tmp_path / "result"))
    for node in federation.nodes:
        assert len(re.findall(NO_KEYS, node.text())) == bool(keys)


def test_told_to_end(federation):
    """By who relays calls to the SuperLink, as NVIDIA FLARE does: a clean end."""
    superlink = EvilSuperLink("C", "adapter")
    try:
        node = federation.start_node(superlink=superlink.address)
        superlink.wait_online()
        superlink.carrier.metadata = {"should-exit": "true"}
        assert node.wait(60) == 0
        assert node.text().count("told this program to end") == 1
    finally:
        superlink.close()


@pytest.mark.parametrize("version", ["1.15", "1.26", "1.41"])
@pytest.mark.parametrize("transport", [*TRANSPORTS, None])
def test_guesses(federation, transport, version, record_property):
    """Right or wrong, with a scheme or without: it registers; one line about what was wrong."""
    use(federation, version, record_property)
    if federation.release.minor >= 40 and transport:
        pytest.skip("has one transport")
    federation.fleet_api_type = transport
    federation.start_superlink()
    spoken = transport or ("grpc-rere" if federation.release.minor < 40 else "http")
    for guess in GUESSES:
        options = {f"--{guess}": True, "--insecure": None}
        node = federation.start_node(options=options, superlink=f"http://{federation.address}/")
        assert node.text().count(f"--{guess} has no effect: SuperLink ") == (guess != spoken)
    federation.expect("has no effect: SuperLink")


def test_another_transport(federation, record_property):
    """The SuperLink comes back at the same place, and speaks something else."""
    use(federation, "1.26", record_property)
    federation.expect(AWAY, CHANGED, "has been replaced by another one")
    federation.start_superlink()
    node = federation.start_node("partition-id=0")
    for transport in ("grpc-adapter", "rest", None):
        federation.superlink.stop()
        start = node.size()
        federation.fleet_api_type = transport
        federation.start_superlink()
        federation.wait_registered(node, start, 120)
        judge = federation.judge()
        (node_id,) = judge.nodes(1)
        assert serves(judge, node_id) == 1
