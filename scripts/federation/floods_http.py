"""Floods of HTTP/1.1 against a worker API: what callers without a token send without a pause, or hold open."""

import contextlib
import socket
import time
from typing import NamedTuple

from .floods import TAKEN_S, attacking

HEARTBEAT = "/v1/runtime/send-task-heartbeat"
PUSH = "/v1/runtime/push-object"
PIECE = 1 << 16  # bytes, about
PIECES = 200  # then the connection is a new one
HELD = 100  # connections that each peer holds open


class Flood(NamedTuple):
    """What a connection sends: this, then that again and again."""

    first: bytes
    again: bytes = b""


def request(*lines, path=HEARTBEAT):
    head = [f"POST {path} HTTP/1.1", "Host: x", "Content-Type: application/protobuf", *lines]
    return "\r\n".join([*head, "", ""]).encode()


def post(*lines):
    return request("Content-Length: 0", *lines)


def many(text):
    return text * max(1, PIECE // len(text))


FLOODS = {
    "http-calls": Flood(b"", many(post())),
    "http-false-tokens": Flood(b"", many(post("Authorization: Bearer " + "f" * 64))),
    "http-large-heads": Flood(b"", many(post("X-A: " + "a" * 7500))),
    "http-endless-head": Flood(request()[:-2], many(b"X-A: a\r\n")),
    "http-large-bodies": Flood(request(f"Content-Length: {560 << 20}", path=PUSH), bytes(PIECE)),
    "http-chunks": Flood(request("Transfer-Encoding: chunked", path=PUSH), many(b"1\r\na\r\n")),
}
# Each peer holds HELD connections open, and opens another one when the node ends one.
HOLDING = {
    "http-idle": Flood(b""),
    "http-slow-bodies": Flood(request("Content-Length: 4000") + bytes(60)),
}


def opened(address, flood):
    host, port = address.rsplit(":", 1)
    peer = socket.create_connection((host, int(port)), 5)
    peer.settimeout(TAKEN_S)
    peer.sendall(flood.first)
    return peer


def flood_for(address, flood, end):
    """Pieces without a pause until then (time.monotonic()), on one connection after the other."""
    while time.monotonic() < end:
        with contextlib.suppress(OSError), opened(address, flood) as peer:
            for _ in range(PIECES):
                if time.monotonic() > end:
                    break
                peer.sendall(flood.again)


def is_open(peer):
    """Whatever it has answered."""
    try:
        while answer := peer.recv(1 << 16, socket.MSG_DONTWAIT):
            del answer
    except BlockingIOError:
        return True
    except OSError:
        pass
    return False


def hold_for(address, flood, end):
    held = []
    while time.monotonic() < end:
        gone = [peer for peer in held if not is_open(peer)]
        for peer in gone:
            peer.close()
        held = [peer for peer in held if peer not in gone]
        with contextlib.suppress(OSError):
            while len(held) < HELD and time.monotonic() < end:
                held.append(opened(address, flood))
        time.sleep(TAKEN_S)
    for peer in held:
        peer.close()


def flooding(name, address, peers, seconds):
    """So many peers flood it meanwhile."""
    end = time.monotonic() + seconds
    if name in HOLDING:
        return attacking(lambda: hold_for(address, HOLDING[name], end), peers)
    return attacking(lambda: flood_for(address, FLOODS[name], end), peers)
