"""Keys of nodes with real SuperLinks that know their nodes: each fault has a sentence of its own."""

import os
import re

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from federation.credentials import NodeKey
from secured import RELEASES, lab_of, per_test, refused, serves, trouble

pytestmark = pytest.mark.ours

FORM = serialization.PrivateFormat
ACTIVATES = "does not activate this node's key: either its last node still counts as online there"
LARGE = pytest.mark.skipif(
    not os.environ.get("FLWR_TEST_LARGE"), reason="takes a minute: FLWR_TEST_LARGE=1"
)


@pytest.fixture(scope="module", params=RELEASES)
def running(request, tmp_path_factory):
    """Its SuperLink knows three keys: one of each curve, each in another form."""
    lab = lab_of(request.param, tmp_path_factory.mktemp("auth"))
    lab.secure()
    lab.keys = [
        NodeKey(lab.folder / "keys/p384", ec.SECP384R1, FORM.OpenSSH),
        NodeKey(lab.folder / "keys/p256", ec.SECP256R1, FORM.TraditionalOpenSSL),
        NodeKey(lab.folder / "keys/p521", ec.SECP521R1, FORM.PKCS8),
    ]
    if not lab.release.has_registered_keys:
        lab.keys += [NodeKey(lab.folder / "keys/killed"), NodeKey(lab.folder / "keys/kept")]
    lab.start_superlink()
    yield lab
    assert not lab.end()


@pytest.fixture
def lab(request, running):
    request.node.failed = False
    yield from per_test(request, running)


def of_key(key, **more):
    """Options of a node with this key."""
    return {
        "--auth-supernode-private-key": key and key.private,
        "--auth-supernode-public-key": None,
        **more,
    }


def test_right_keys(lab):
    """Each does a message, whatever its curve and form."""
    for key in lab.keys[:3]:
        assert not trouble(lab.start_node(options=of_key(key)))
    serves(lab, "right-keys")
    for node in lab.nodes:
        assert not trouble(node)


@pytest.mark.parametrize("curve", [ec.SECP384R1, ec.SECP256R1], ids=["same", "other"])
def test_unknown_key(lab, tmp_path, curve):
    """Of whatever curve. Since 1.23 it may be one whose last node is still there, for a minute."""
    options = of_key(NodeKey(tmp_path / "unknown", curve))
    if not lab.release.has_registered_keys:
        refused(lab, "takes the keys of its list only", options=options, code=302)
        return
    node = lab.start_node(options=options, wait=False)
    line = node.wait_log(rf"WARN .*{ACTIVATES}.*").group(0)
    assert "or the key is not registered: trying for up to 70 s" in line
    assert node.stop() == 0
    assert len(trouble(node)) == 1


@pytest.mark.parametrize("offset", [400, -400])
def test_clock(lab, offset):
    """That of this node is off; a SuperLink since 1.40 tells its own, so that it is known how far."""
    line = refused(
        lab,
        "does not accept the time that this node has signed",
        options=of_key(lab.keys[0]),
        env={"FLWR_TEST_CLOCK_OFFSET_S": str(offset)},
        code=302,
    )
    if lab.release.minor >= 40:
        # Its time is told in seconds, and may be one of them old.
        way = "ahead of" if offset > 0 else "behind"
        assert re.search(rf"clock is (39[7-9]|40[0-3]) s {way} the SuperLink's: set it right", line)
    else:
        assert "this machine's clock and the SuperLink's differ: set them right" in line


def test_self_made_key(lab):
    """Nobody knows it: the sentence says what to have registered, and what to give."""
    listed = "takes the keys of its list only: have the public key added there"
    registered = "takes registered keys only: have the public key registered"
    known = registered if lab.release.has_registered_keys else listed
    options = of_key(None)
    refused(lab, known, "(--auth-supernode-private-key)", options=options, code=302)


def test_key_that_others_can_read(lab):
    key = lab.keys[0]
    key.private.chmod(0o644)
    node = lab.start_node(options=of_key(key))
    key.private.chmod(0o600)
    (line,) = trouble(node)
    assert f"private key {key.private} can be read by others than its owner (mode 644)" in line


def test_public_key(lab):
    """As 1.15 wants it; it has to be that of the private key."""
    key, other = lab.keys[:2]
    node = lab.start_node(options=of_key(key, **{"--auth-supernode-public-key": key.public}))
    assert not trouble(node)
    options = of_key(key, **{"--auth-supernode-public-key": other.public})
    refused(lab, f"{other.public} does not belong to", options=options, code=302, status=2)


@LARGE
def test_killed(lab):
    """Since 1.23 its node counts as online for a minute: one line, then it is active."""
    if not lab.release.has_registered_keys:
        pytest.skip("this SuperLink counts on it for ever")
    options = of_key(lab.keys[0])
    node = lab.start_node(options=options)
    node_id = lab.wait_registered(node)
    node.kill()
    lab.nodes.remove(node)
    again = lab.start_node(options=options, wait=False)
    assert lab.wait_registered(again, seconds=90) == node_id
    (line,) = trouble(again)
    assert ACTIVATES in line


def test_killed_for_ever(lab, tmp_path):
    """To 1.22 only the SuperLink's restart ends its node, or the node itself when it is kept."""
    if lab.release.has_registered_keys:
        pytest.skip("this SuperLink forgets it (test_killed)")
    _, _, _, key, kept = lab.keys
    options = of_key(kept)  # without being asked
    env = {"XDG_STATE_HOME": str(tmp_path)}
    node = lab.start_node(options=options, env=env)
    node_id = lab.wait_registered(node)
    node.kill()
    lab.nodes.remove(node)
    again = lab.start_node(options=options, env=env)
    assert lab.wait_registered(again) == node_id
    serves(lab, "kept")
    assert not trouble(again)
    # Having said goodbye, it is another one.
    assert again.stop() == 0
    last = lab.start_node(options=options, env=env)
    assert lab.wait_registered(last) != node_id

    forgetful = of_key(key, **{"--no-state": True})
    node = lab.start_node(options=forgetful)
    node.kill()
    lab.nodes.remove(node)
    line = refused(lab, "still has the last node of this key", options=forgetful, code=302)
    assert "only a restart of the SuperLink ends it; its number was not kept here" in line


def test_one_node_for_a_key(lab, tmp_path):
    """The state of a key is one node's: a second one says so and ends, and harms nobody."""
    options = of_key(lab.keys[0], **{"--state-dir": tmp_path / "state"})
    node = lab.start_node(options=options)
    second = lab.start_node(options=options, wait=False)
    assert second.wait(20) == 1
    (line,) = trouble(second)
    assert "another SuperNode uses this key at this SuperLink" in line
    assert not trouble(node)
