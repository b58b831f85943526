"""Make files of trusted entities in the directory given, and FABs that they have signed or not.

With Flower 1.41. Prints what its own functions say: "file NAME yes|no" and "fab NAME yes|no HEX", HEX
being the Fab message; entities.yaml is the file that goes with the latter. An exception is a no.
"""

import base64
import hashlib
import json
import logging
import os
import random
import subprocess
import sys
from pathlib import Path

os.environ["FLWR_TELEMETRY_ENABLED"] = "0"

from flwr.supercore.fab import Fab
from flwr.proto import fab_pb2
from flwr.supercore.primitives import asymmetric_ed25519 as ed25519
from flwr.supernode import start_client_internal as node
from flwr.supernode.cli.flower_supernode import (
    _try_obtain_trusted_entities,
    _validate_public_keys_ed25519,
)

logging.disable(logging.CRITICAL)
OUT = Path(sys.argv[1])
AT = 1790000000


def keygen(name, *args):
    path = OUT / name
    subprocess.run(["ssh-keygen", "-q", "-N", "", "-f", path, *args], check=True)
    private = None
    if "ed25519" in args:
        private = ed25519.load_private_key(path)
    return private, path.with_suffix(".pub").read_text().strip()


ALICE, ALICE_PUB = keygen("alice", "-t", "ed25519", "-C", "alice with a comment")
BOB, BOB_PUB = keygen("bob", "-t", "ed25519", "-C", "")
EVE, EVE_PUB = keygen("eve", "-t", "ed25519")
_, RSA_PUB = keygen("rsa", "-t", "rsa", "-b", "2048")
_, EC_PUB = keygen("ec", "-t", "ecdsa", "-b", "384")


def file(name, text):
    path = OUT / name
    path.write_text(text)
    try:
        entities = _try_obtain_trusted_entities(path)
        _validate_public_keys_ed25519(entities)
        verdict = "yes"
    except (Exception, SystemExit):
        verdict = "no"
    print("file", name, verdict)


def sign(key, content, at=AT, url=True, pad=False, signed=None):
    message = ed25519.create_message_to_sign(hashlib.sha256(content).digest(), at)
    signature = ed25519.sign_message(key, message if signed is None else signed)
    text = (base64.urlsafe_b64encode if url else base64.b64encode)(signature).decode()
    return json.dumps({"signed_at": at, "signature": text if pad else text.rstrip("=")})


def fab(name, verifications, content):
    message = fab_pb2.Fab(
        hash_str=hashlib.sha256(content).hexdigest(), content=content, verifications=verifications)
    try:
        entities = _try_obtain_trusted_entities(OUT / "entities.yaml")
        good = bool(message.verifications["valid_license"]) and node._verify_fab(
            Fab(message.hash_str, message.content, dict(message.verifications)), entities)
    except (Exception, SystemExit):
        good = False
    print("fab", name, "yes" if good else "no", message.SerializeToString().hex())


def files():
    good = f"fpk_a: {ALICE_PUB}\nfpk_b: {BOB_PUB}\n"
    file("entities.yaml", good)
    file("one.yaml", f"fpk_a: {ALICE_PUB}\n")
    file("flow.yaml", f"{{ fpk_a: '{ALICE_PUB}', fpk_b: \"{BOB_PUB}\" }}\n")
    file("document.yaml", "# whom we trust\n---\n" + good + "...\n")
    file("folded.yaml", "fpk_a: >-\n  " + ALICE_PUB.replace(" ", "\n  ", 1) + "\n")
    file("quoted-id.yaml", f"\"fpk_a\": {ALICE_PUB}\n")
    file("rsa.yaml", good + f"fpk_c: {RSA_PUB}\n")
    file("ec.yaml", f"fpk_c: {EC_PUB}\n")
    file("no-key.yaml", "fpk_a: hello\n")
    file("no-key-2.yaml", "fpk_a: ssh-ed25519\n")
    file("null.yaml", "fpk_a:\n")
    file("damaged.yaml", f"fpk_a: {ALICE_PUB.replace('AAAAC3', 'AAAAC4')}\n")
    file("short.yaml", "fpk_a: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA==\n")
    file("type.yaml", f"fpk_a: {ALICE_PUB.replace('ssh-ed25519', 'ssh-rsa')}\n")
    file("list.yaml", f"- {ALICE_PUB}\n")
    file("nested.yaml", f"entities:\n  fpk_a: {ALICE_PUB}\n")
    file("text.yaml", "hello\n")
    file("empty.yaml", "")
    file("comment.yaml", "# nobody\n")
    file("broken.yaml", "fpk_a: 'x\n")
    file("tabs.yaml", "\tfpk_a: x\n")
    file("two.yaml", good + "---\n" + good)
    file("alias.yaml", f"fpk_a: &a [1]\nfpk_b: *a\n")
    file("id-list.yaml", f"[a, b]: {ALICE_PUB}\n")
    # Ours refuses what Flower takes: nobody at all (then it verifies nothing), a key twice.
    file("nobody.yaml", "{}\n")
    file("twice.yaml", good + f"fpk_a: {EVE_PUB}\n")


def fabs():
    content = random.randbytes(3000)
    yes = {"valid_license": "yes"}
    a, b = sign(ALICE, content), sign(BOB, content)
    fab("good", {**yes, "fpk_a": a}, content)
    fab("both", {**yes, "fpk_a": a, "fpk_b": b}, content)
    fab("among-others", {**yes, "fpk_x": sign(EVE, content), "fpk_b": b}, content)
    fab("one-wrong", {**yes, "fpk_a": sign(EVE, content), "fpk_b": b}, content)
    fab("padded", {**yes, "fpk_a": sign(ALICE, content, pad=True)}, content)
    fab("standard", {**yes, "fpk_a": sign(ALICE, content, url=False, pad=True)}, content)
    fab("at-0", {**yes, "fpk_a": sign(ALICE, content, at=0)}, content)
    fab("at-late", {**yes, "fpk_a": sign(ALICE, content, at=2**63 - 1)}, content)
    fab("more-keys", {**yes, "fpk_a": json.dumps({**json.loads(a), "by": [1, {"x": None}]})}, content)
    for i in range(20):
        content_i = random.randbytes(i)
        fab(f"good-{i}", {**yes, "fpk_a": sign(ALICE, content_i, at=AT + i)}, content_i)
    fab("no-license", {"fpk_a": a}, content)
    fab("empty-license", {"fpk_a": a, "valid_license": ""}, content)
    fab("nothing", {}, content)
    fab("license-only", yes, content)
    fab("stranger", {**yes, "fpk_x": sign(EVE, content)}, content)
    fab("false-name", {**yes, "fpk_a": sign(EVE, content)}, content)
    fab("exchanged", {**yes, "fpk_a": b, "fpk_b": a}, content)
    fab("id-case", {**yes, "FPK_A": a}, content)
    fab("another-fab", {**yes, "fpk_a": a}, content + b"x")
    fab("another-time", {**yes, "fpk_a": a.replace(str(AT), str(AT + 1))}, content)
    digest = hashlib.sha256(content).digest()
    stamp = AT.to_bytes(8, "big")
    for i, signed in enumerate([digest, digest + stamp, AT.to_bytes(8, "little") + digest,
                                stamp + content, stamp + digest.hex().encode()]):
        fab(f"form-{i}", {**yes, "fpk_a": sign(ALICE, content, signed=signed)}, content)
    text = json.loads(a)["signature"]
    for i, bad in enumerate(["", "{", "null", "[]", "{}", '"x"', "7", "x" * 5000, "[" * 5000]):
        fab(f"json-{i}", {**yes, "fpk_a": bad}, content)
    for i, bad in enumerate([
            {"signature": text}, {"signed_at": AT}, {"signed_at": str(AT), "signature": text},
            {"signed_at": AT + 0.5, "signature": text}, {"signed_at": -1, "signature": text},
            {"signed_at": None, "signature": text}, {"signed_at": AT, "signature": None},
            {"signed_at": AT, "signature": ""}, {"signed_at": AT, "signature": text[:-2]},
            {"signed_at": AT, "signature": text + "AA"}, {"signed_at": AT, "signature": "!" * 86},
            {"signed_at": 2**64, "signature": text}, {"signed_at": AT, "signature": "A" * 86}]):
        fab(f"member-{i}", {**yes, "fpk_a": json.dumps(bad)}, content)
    for i in range(64):
        raw = bytearray(base64.urlsafe_b64decode(text + "=="))
        raw[i] ^= 1 << i % 8
        flipped = {"signed_at": AT, "signature": base64.urlsafe_b64encode(raw).decode()}
        fab(f"flip-{i}", {**yes, "fpk_a": json.dumps(flipped)}, content)


files()
fabs()
