"""Check proofs with the real package: reads lines "pem-hex timestamp signature-hex", says "ok" for each."""

import datetime
import sys

from cryptography.hazmat.primitives.asymmetric import ec
from flwr.common import now
from flwr.common.secure_aggregation.crypto.symmetric_encryption import (
    bytes_to_public_key,
    public_key_to_bytes,
    verify_signature,
)

for line in sys.stdin:
    pem_hex, timestamp, signature_hex = line.split()
    pem = bytes.fromhex(pem_hex)
    key = bytes_to_public_key(pem)
    assert isinstance(key.curve, ec.SECP256R1)
    assert public_key_to_bytes(key) == pem, "PEM differs in form"
    assert verify_signature(key, timestamp.encode("ascii"), bytes.fromhex(signature_hex))
    assert not verify_signature(key, b"another", bytes.fromhex(signature_hex))
    age = now() - datetime.datetime.fromisoformat(timestamp)
    assert -5 < age.total_seconds() < 15, age
    print("ok", flush=True)
