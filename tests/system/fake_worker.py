"""In place of flwr-clientapp: hands its token to the test, and stays until the test has done."""

import json
import socket
import struct
import sys

packet = socket.socket(fileno=3).recv(8192)
# As common/launch/control.c packs it: version, kind, token, content's limit, log level, four flags,
# the address, and more.
HEAD = "=BBQQiBBBBH"
version, _, token, _, _, _, _, _, _, length = struct.unpack_from(HEAD, packet)
assert version == 7, f"another form of the control socket: {version}"
address = packet[struct.calcsize(HEAD) :][:length].decode()
with socket.socket(socket.AF_UNIX) as test:
    test.connect(sys.argv[1])
    test.sendall(json.dumps({"token": token, "address": address}).encode())
    test.recv(1)
