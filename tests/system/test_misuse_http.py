"""Misuse of the worker API over HTTP/1.1. As in test_misuse.py: the node lives, its memory and its
log stay small, whoever can be answered gets the right status, the next good message is served."""

import contextlib
import socket
import time

import pytest
from federation.processes import wait_until
from test_misuse import MIB, lab, victim  # fixtures

pytestmark = pytest.mark.ours

__all__ = ["lab", "victim"]

RUNTIME = "/v1/runtime/"
ACQUIRE = RUNTIME + "acquire-task"
PROTOBUF = "Content-Type: application/protobuf"
HOST = "Host: x"


class Caller:
    """A connection that says bytes, and hears answers."""

    def __init__(self, victim):
        host, port = victim.address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), 10)
        self.bytes = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def say(self, *lines, body=b""):
        self.socket.sendall("\r\n".join([*lines, "", ""]).encode() + body)

    def post(self, path, *lines, body=b""):
        length = f"Content-Length: {len(body)}"
        self.say(f"POST {path} HTTP/1.1", HOST, PROTOBUF, length, *lines, body=body)

    def more(self):
        """Something came; False: the connection has ended."""
        try:
            piece = self.socket.recv(1 << 16)
        except ConnectionResetError:
            piece = b""
        self.bytes += piece
        return bool(piece)

    def answer(self):
        """(status, body) of the next answer; None: the connection ends without one."""
        while b"\r\n\r\n" not in self.bytes:
            if not self.more():
                return None
        head, _, rest = self.bytes.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        fields = dict(line.lower().split(": ", 1) for line in lines[1:])
        length = int(fields.get("content-length", 0))
        while len(rest) < length:
            assert self.more()
            rest = self.bytes.partition(b"\r\n\r\n")[2]
        self.bytes = rest[length:]
        return int(lines[0].split()[1]), rest[:length]

    def ended(self):
        while self.more():
            pass


def ask(victim, *lines, body=b""):
    with Caller(victim) as caller:
        caller.say(*lines, body=body)
        return caller.answer()


POST = f"POST {ACQUIRE} HTTP/1.1"
HEADS = {
    "no such path": (404, ("GET / HTTP/1.1", HOST)),
    "no such method": (404, (f"POST {RUNTIME}acquire HTTP/1.1", HOST, PROTOBUF)),
    "gRPC's path": (404, ("POST /flwr.proto.Runtime/AcquireTask HTTP/1.1", HOST, PROTOBUF)),
    "not below the prefix": (404, ("POST //v1/runtime/acquire-task HTTP/1.1", HOST, PROTOBUF)),
    "escaped": (404, (f"POST {RUNTIME}acquire%2dtask HTTP/1.1", HOST, PROTOBUF)),
    "a tunnel": (404, ("CONNECT x:80 HTTP/1.1", HOST)),
    "an upgrade": (404, ("OPTIONS * HTTP/1.1", HOST, "Connection: Upgrade", "Upgrade: h2c")),
    "GET": (405, (f"GET {ACQUIRE} HTTP/1.1", HOST)),
    "DELETE": (405, (f"DELETE {ACQUIRE} HTTP/1.1", HOST)),
    "POST of health": (405, ("POST /health HTTP/1.1", HOST, "Content-Length: 0")),
    "no type": (415, (POST, HOST, "Content-Length: 2")),
    "another type": (415, (POST, HOST, "Content-Type: application/json", "Content-Length: 2")),
    "compressed": (415, (POST, HOST, PROTOBUF, "Content-Encoding: gzip", "Content-Length: 2")),
    "no host": (400, (POST, PROTOBUF, "Content-Length: 2")),
    "a signed length": (400, (POST, HOST, PROTOBUF, "Content-Length: +2")),
    "a hexadecimal length": (400, (POST, HOST, PROTOBUF, "Content-Length: 0x2")),
    "a list of lengths": (400, (POST, HOST, PROTOBUF, "Content-Length: 2, 2")),
    "two lengths": (400, (POST, HOST, PROTOBUF, "Content-Length: 2", "Content-Length: 3")),
    "the same length twice": (400, (POST, HOST, PROTOBUF, *["Content-Length: 2"] * 2)),
    "length and chunks": (
        400,
        (POST, HOST, PROTOBUF, "Content-Length: 2", "Transfer-Encoding: chunked"),
    ),
    "chunks and length": (
        400,
        (POST, HOST, PROTOBUF, "Transfer-Encoding: chunked", "Content-Length: 2"),
    ),
    "chunks twice": (400, (POST, HOST, PROTOBUF, *["Transfer-Encoding: chunked"] * 2)),
    "chunks, hidden": (400, (POST, HOST, PROTOBUF, "Transfer-Encoding: x, chunked")),
    "another encoding": (400, (POST, HOST, PROTOBUF, "Transfer-Encoding: gzip")),
    "a length out of range": (413, (POST, HOST, PROTOBUF, f"Content-Length: {1 << 63}")),
    "too large": (413, (POST, HOST, PROTOBUF, "Content-Length: 4097")),
    "a large head": (431, (POST, HOST, PROTOBUF, "X-A: " + "a" * 20000)),
    "many headers": (431, (POST, HOST, PROTOBUF, *["X-A: a"] * 100)),
}


@pytest.mark.parametrize("status, lines", HEADS.values(), ids=HEADS)
def test_heads(victim, status, lines):
    """Answered without its body, ten times in a row."""
    with victim.unharmed():
        for _ in range(10):
            assert ask(victim, *lines)[0] == status


CHUNKED = (POST, HOST, PROTOBUF, "Transfer-Encoding: chunked")
CHUNKS = {
    "no number": b"zz\r\n",
    "a sign": b"-1\r\n",
    "too large a number": b"fffffffffffffffff\r\n",
    "no end": b"3\r\nabcd\r\n",
    "a long size": b"0" * 100000 + b"1\r\na\r\n",
}


@pytest.mark.parametrize("body", CHUNKS.values(), ids=CHUNKS)
def test_chunks(victim, body):
    """Not taken for another request, whatever follows."""
    with victim.unharmed():
        with Caller(victim) as caller, contextlib.suppress(ConnectionError):
            caller.socket.settimeout(30)
            caller.say(*CHUNKED, body=body + b"0\r\n\r\nGET /health HTTP/1.1\r\nHost: x\r\n\r\n")
            answer = caller.answer()
            assert answer is None or answer[0] in (400, 408, 413), answer
            caller.ended()
            assert b"200 OK" not in caller.bytes


def test_chunks_too_many(victim):
    with victim.unharmed(), Caller(victim) as caller:
        caller.say(*CHUNKED, body=(b"400\r\n" + b"a" * 1024 + b"\r\n") * 5)
        assert caller.answer()[0] == 413
        caller.ended()


ODD = {
    "bare line feeds": f"POST {ACQUIRE} HTTP/1.1\nHost: x\n{PROTOBUF}\nContent-Length: 0\n\n",
    "a folded header": f"{POST}\r\nHost: x\r\n{PROTOBUF};\r\n a=b\r\nContent-Length: 0\r\n\r\n",
    "a space before the colon": f"{POST}\r\nHost : x\r\n{PROTOBUF}\r\nContent-Length : 5\r\n\r\n",
    "a header without a name": f"{POST}\r\nHost: x\r\n: y\r\n{PROTOBUF}\r\nContent-Length: 0\r\n\r\n",
    "a line without a colon": f"{POST}\r\nHost: x\r\nfoo\r\n{PROTOBUF}\r\nContent-Length: 0\r\n\r\n",
    "another protocol": f"POST {ACQUIRE} HTTP/3.0\r\nHost: x\r\n\r\n",
    "no protocol": f"GET {ACQUIRE}\r\n\r\n",
    "a NUL": f"{POST}\r\nHost: x\r\nX: a\0b\r\n{PROTOBUF}\r\nContent-Length: 0\r\n\r\n",
    "the preface, almost": "PRI * HTTP/1.1\r\nHost: x\r\n\r\n",
}


@pytest.mark.parametrize("text", ODD.values(), ids=ODD)
def test_odd(victim, text):
    """Served, refused or hung up on, as the library likes; nobody waits for what cannot come."""
    with victim.unharmed(), Caller(victim) as caller:
        caller.socket.sendall(text.encode())
        answer = caller.answer()
        assert answer is None or answer[0] in (200, 400, 405, 415, 505), answer


def test_pipelined(victim):
    """Each is answered, in order, on one connection."""
    with victim.unharmed(), Caller(victim) as caller:
        for _ in range(20):
            caller.say("GET /health HTTP/1.1", HOST)
            caller.post(ACQUIRE)
            caller.post(RUNTIME + "pull-task-input")
        assert [caller.answer()[0] for _ in range(60)] == [200, 200, 401] * 20


TOKENS = {
    "none": (),
    "empty": ("flwr-task-token:",),
    "garbage": ("flwr-task-token: x",),
    "a number": ("flwr-task-token: 1",),
    "unknown": ("flwr-task-token: " + "0" * 256,),
    "too long": ("flwr-task-token: " + "0" * 10000,),
}
METHODS = [
    "pull-task-input",
    "pull-messages",
    "push-messages",
    "pull-object",
    "push-object",
    "push-task-output",
    "send-task-heartbeat",
    "confirm-message-received",
    "push-logs",
]


@pytest.mark.parametrize("header", TOKENS.values(), ids=TOKENS)
def test_tokens(victim, header):
    with victim.unharmed():
        for method in METHODS:
            with Caller(victim) as caller:
                caller.post(RUNTIME + method, *header, body=b"abc")
                status, body = caller.answer()
                assert status == 401 and b'"code":1008' in body


def test_bodies_without_token(victim):
    """560 MiB from each of ten: refused before they come, and not taken in. Who goes on sending is cut
    off, and then may have missed the answer."""
    heard = []
    with victim.unharmed(grows=8):
        for method in ("push-object", "push-task-output"):
            for _ in range(5):
                with Caller(victim) as caller:
                    length = f"Content-Length: {560 * MIB}"
                    caller.say(f"POST {RUNTIME}{method} HTTP/1.1", HOST, PROTOBUF, length)
                    with contextlib.suppress(ConnectionError):
                        for _ in range(560):
                            caller.socket.sendall(bytes(MIB))
                    heard.append(caller.answer())
    assert heard[0][0] == 401
    assert all(answer is None or answer[0] == 401 for answer in heard)


def test_much_at_once(victim):
    """Who sends more than strangers may is held back, and answered: it may show a token yet."""
    lines = ("GET /health HTTP/1.1", HOST, "Pad: " + "x" * 2000)
    with victim.unharmed(), Caller(victim) as caller:
        caller.socket.settimeout(30)
        caller.socket.sendall(("\r\n".join([*lines, "", ""]) * 100).encode())
        for _ in range(100):
            assert caller.answer()[0] == 200


def test_half_closed(victim):
    """A client that has said all, and ends its half, gets the answer."""
    with victim.unharmed():
        for status, lines in ((200, ("GET /health HTTP/1.1", HOST)), HEADS["no type"]):
            with Caller(victim) as caller:
                caller.say(*lines)
                caller.socket.shutdown(socket.SHUT_WR)
                assert caller.answer()[0] == status
                assert not caller.more()


def test_refused_while_it_sends(victim):
    """A client that sends all of its body before it looks finds why that was refused."""
    with victim.unharmed(), Caller(victim) as caller:
        body = bytes(16 * MIB)
        caller.post(RUNTIME + "push-object", "flwr-task-token: " + "0" * 256, body=body)
        assert caller.answer()[0] == 401


def test_slow_body(victim):
    with victim.unharmed(), Caller(victim) as caller:
        caller.say(POST, HOST, PROTOBUF, "Content-Length: 10", body=b"abc")
        caller.socket.settimeout(30)
        assert caller.answer()[0] == 408
        caller.ended()


def test_cut_off(victim):
    """Callers that go at any time are forgotten."""
    text = f"{POST}\r\n{HOST}\r\n{PROTOBUF}\r\nContent-Length: 20\r\n\r\nbody".encode()
    with victim.unharmed():
        for n in range(1, len(text), 3):
            with Caller(victim) as caller:
                caller.socket.sendall(text[:n])


def test_idle_ones(victim):
    """Five hundred that were served once and as many in the middle of a head keep nobody from work."""
    idle = []
    try:
        with victim.unharmed(grows=64):
            for n in range(1000):
                caller = Caller(victim)
                idle.append(caller)
                if n % 2:
                    caller.say("GET /health HTTP/1.1", HOST)
                    assert caller.answer()[0] == 200
                else:
                    caller.socket.sendall(b"POST /v1/runtime/acquire")
            victim.serve()
    finally:
        for caller in idle:
            caller.socket.close()


def test_flood(victim):
    """Requests one after the other, as fast as they can, from ten connections: whoever works is
    served meanwhile."""
    request = f"{POST}\r\n{HOST}\r\n{PROTOBUF}\r\nContent-Length: 0\r\n\r\n".encode() * 100
    with victim.unharmed():
        callers = [Caller(victim) for _ in range(10)]
        end = time.monotonic() + 3
        while time.monotonic() < end:
            for caller in callers:
                caller.socket.settimeout(0.01)
                with contextlib.suppress(OSError):
                    caller.socket.sendall(request)
            victim.serve()
        for caller in callers:
            caller.socket.close()
        wait_until(victim.node.running, "the node lives")
