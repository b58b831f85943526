"""--trusted-entities with a real SuperLink, in whose database the signatures of an app are put."""

import base64
import contextlib
import json
import sqlite3
import time

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from secured import answers, knock, lab_of, trouble

pytestmark = pytest.mark.ours


class Entity:
    """Somebody who signs apps."""

    def __init__(self, name):
        self.id = f"fpk_{name}"
        self.key = ed25519.Ed25519PrivateKey.generate()
        form = serialization.PublicFormat.OpenSSH
        public = self.key.public_key().public_bytes(serialization.Encoding.OpenSSH, form)
        self.line = f"{public.decode()} {name}"

    def sign(self, fab_hash):
        signed_at = int(time.time())
        signature = self.key.sign(signed_at.to_bytes(8, "big") + bytes.fromhex(fab_hash))
        text = base64.urlsafe_b64encode(signature).decode()
        return {self.id: json.dumps({"signed_at": signed_at, "signature": text})}


def trusting(lab, **entities):
    """Options of a node that trusts these."""
    path = lab.folder / f"trusted-{'-'.join(entities)}.yaml"
    lines = [f"{entity.id}: {entity.line}\n" for entity in entities.values()]
    path.write_text("".join(lines), encoding="utf-8")
    return {"--trusted-entities": path}


def sign(database, entity):
    """As if the app had come from Flower's hub, where this entity has signed it."""
    with contextlib.closing(sqlite3.connect(database, timeout=20)) as connection, connection:
        ((fab_hash,),) = connection.execute("SELECT fab_hash FROM fab").fetchall()
        verifications = json.dumps({"valid_license": "true", **entity.sign(fab_hash)})
        connection.execute("UPDATE fab SET verifications = ?", (verifications,))


def installed_file(lab):
    """A listed file of the app that our nodes have installed."""
    (file,) = (lab.folder / "homes").glob("*/apps/*" + "[0-9a-f]" * 64 + "/knock/client_app.py")
    return file


def test_trusted_entities(tmp_path):
    alice, bob, other_alice = (Entity(name) for name in ("alice", "bob", "alice"))
    database = tmp_path / "state.sqlite"
    with lab_of("1.41.0", tmp_path / "lab") as lab:
        lab.start_superlink(database)
        options = trusting(lab, alice=alice, bob=bob)

        # Not signed: each message is answered, and the run goes on.
        node = lab.start_node(options=options)
        seen = answers(lab, knock(lab, "unsigned", messages=2))
        ((first, second),) = seen.values()
        assert first == second and first[0] == 7, seen
        assert "does not support the verification of apps" in first[1]
        for line in trouble(node):
            assert "FAB refused: " in line or "code=7: the FAB could not be verified" in line
        assert node.stop() == 0

        # Signed by alice; the nodes come when that is so.
        result = knock(lab, "signed", nodes=3)
        sign(database, alice)
        good = lab.start_node(options=options)
        stranger = lab.start_node(options=trusting(lab, bob=bob))
        wrong = lab.start_node(options=trusting(lab, other_alice=other_alice))
        seen = answers(lab, result)
        ids = [lab.wait_registered(node) for node in (good, stranger, wrong)]
        ((of_good,), (of_stranger,), (of_wrong,)) = (seen[node_id] for node_id in ids)
        assert of_good == [0, ""]
        assert of_stranger[0] == 7 and "trusted" in of_stranger[1], of_stranger
        assert of_wrong[0] == 7 and "signature" in of_wrong[1], of_wrong
        assert not trouble(good)
        for node in (good, stranger, wrong):
            assert node.stop() == 0

        # Signed is what came, not what lies there by now: a file is changed, one is added.
        listed = installed_file(lab)
        before = listed.read_text(encoding="utf-8")
        home = {"FLWR_HOME": str(listed.parents[3])}
        for text, told in (("print('changed')\n", "was changed"), ("", "does not list")):
            more = listed.with_name("numpy.py" if not text else listed.name)
            more.write_text(before + text, encoding="utf-8")
            result = knock(lab, told.replace(" ", "-"))
            sign(database, alice)
            node = lab.start_node(options=options, env=home)
            ((reply,),) = answers(lab, result).values()
            assert reply[0] == 7 and told in reply[1], reply
            assert node.stop() == 0
            # Without signatures it is put right, with a warning, and what was added stays.
            node = lab.start_node(env=home)
            ((reply,),) = answers(lab, knock(lab, "again-" + told.replace(" ", "-"))).values()
            assert reply == [0, ""]
            assert listed.read_text(encoding="utf-8") == before
            lines = trouble(node)
            assert len(lines) == bool(text) and all(": put right: " in line for line in lines), lines
            assert node.stop() == 0
        assert more.exists()
