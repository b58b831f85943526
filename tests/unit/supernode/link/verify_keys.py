"""Check loaded keys with the real package: reads lines "private-key-file pem-hex timestamp signature-hex".

Says "ok" for each. The names are Flower's: they moved between releases.
"""

import sys

from cryptography.hazmat.primitives import serialization

try:
    from flwr.supercore.primitives import asymmetric as flower
except ImportError:
    from flwr.common.secure_aggregation.crypto import symmetric_encryption as flower

for line in sys.stdin:
    path, pem_hex, timestamp, signature_hex = line.split()
    with open(path, "rb") as file:
        data = file.read()
    openssh = b"OPENSSH" in data
    load = serialization.load_ssh_private_key if openssh else serialization.load_pem_private_key
    key = load(data, None)
    pem = bytes.fromhex(pem_hex)
    signature = bytes.fromhex(signature_hex)
    assert flower.public_key_to_bytes(key.public_key()) == pem, path
    public = flower.bytes_to_public_key(pem)
    assert flower.verify_signature(public, timestamp.encode("ascii"), signature), path
    assert not flower.verify_signature(public, b"another", signature), path
    if hasattr(flower, "uses_nist_ec_curve"):
        assert flower.uses_nist_ec_curve(public), path
    print("ok", flush=True)
