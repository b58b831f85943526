"""Misuse of the worker API. Whatever comes: the node lives, its memory and its log stay small,
whoever can be answered gets the right status, and the next good message is served at once."""

import contextlib
import os
import random
import re
import resource
import select
import socket
import ssl
import sys
import threading
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

import conftest
import grpc
import pytest
from desk import Desk
from federation.floods import FLOODS as FLOODS_OF_STREAMS
from federation.floods import flooding
from federation.http2 import (
    END_HEADERS,
    END_STREAM,
    INITIAL_WINDOW_SIZE,
    PREFACE,
    Connection,
    Frame,
    data,
    field,
    frame,
    headers,
    integer,
    message,
    ready,
    request_fields,
    reset,
    settings,
)
from federation.processes import wait_until
from kit import wire

from flwr.common import serde
from flwr.proto import clientappio_pb2 as api
from flwr.proto.clientappio_pb2_grpc import ClientAppIoStub
from flwr.proto.error_pb2 import Error
from flwr.proto.message_pb2 import Context, Message, Metadata
from flwr.proto.recordset_pb2 import RecordSet

pytestmark = pytest.mark.ours

MIB = 1 << 20
SMALL = 32  # MiB that a node may grow by when nothing large is said
SERVICE = "/flwr.proto.ClientAppIo/"
GET, PULL, PUSH = (
    SERVICE + name for name in ("GetToken", "PullClientAppInputs", "PushClientAppOutputs")
)
ATTEND = "/flwr.native.ClientAppIo/Attend"  # ours
OPTIONS = {"--clientappio-api-address": "127.0.0.1:0", "--log-level": "info", "--poll-max": 0.1}
ALONE = [("grpc.use_local_subchannel_pool", 1)]  # a connection of its own for each channel

CANCELLED, UNKNOWN, INVALID, LATE, EXHAUSTED, PRECONDITION, UNIMPLEMENTED = 1, 2, 3, 4, 8, 9, 12
DENIED, UNAVAILABLE = 7, 14


def sanitized():
    """Memory is not measured then: AddressSanitizer keeps what is freed for a while."""
    program = Path(os.environ.get("FLWR_BIN_DIR", ""), "flower-supernode")
    return program.exists() and b"libasan" in program.read_bytes()


SANITIZED = sanitized()


# ---- a node under attack ----


class Victim:
    """A node whose worker API the test misuses; the good workers are the test's, too."""

    def __init__(self, lab, options):
        self.federation, self.desk, self.judge = lab
        options = {name: value for name, value in {**OPTIONS, **options}.items() if value}
        self.node = self.federation.start_node(options=options)
        self.address = self.node.wait_log(r"worker API: address=(\S+)").group(1)
        self.id = int(self.node.find(r"registered: node_id=(\d+)").group(1))
        self.stuck = False  # the test knows that it does not end by itself

    def worker(self):
        """As Desk.worker(); what is left of another node's workers is sent away."""
        while True:
            connection, token, address = self.desk.worker()
            if address.endswith(self.address):
                return connection, token
            connection.close()

    def serve(self):
        """One good message, by a worker that has just connected."""
        with Work(self) as work:
            work.pull()
            work.push(work.answer())
            assert self.judge.reply(work.message, 10)["code"] == 0

    def kib(self, name):
        with open(f"/proc/{self.node.pid}/status", encoding="utf-8") as status:
            (line,) = [line for line in status if line.startswith(name + ":")]
        return int(line.split()[1])

    def reset_peak(self):
        with open(f"/proc/{self.node.pid}/clear_refs", "w", encoding="utf-8") as file:
            file.write("5")

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.node.pid}/fd"))

    def complaints(self, start):
        """Warnings and errors since then, but for messages that failed."""
        return [
            line
            for line in self.node.text(start).splitlines()
            if re.search(r"(WARN|ERROR)\s+supernode: (?!message failed: )", line)
        ]

    @contextmanager
    def unharmed(self, grows=SMALL, says=None):
        """What is done inside costs at most so many MiB at any time, and one line of the log in ten
        seconds (with says: there is one, and it says that); a good message is served at once."""
        self.reset_peak()
        before = self.kib("VmRSS")
        start = self.node.size()
        began = time.monotonic()
        yield
        self.serve()
        assert self.node.running()
        assert SANITIZED or self.kib("VmHWM") - before < grows * 1024
        lines = self.complaints(start)
        # The node says so itself at most once in ten seconds.
        assert len(lines) <= 1 + (time.monotonic() - began) // 10, lines
        if says:
            assert len(lines) >= 1 and says in lines[0], lines

    def end(self):
        if self.stuck:
            self.node.kill()
            return
        assert self.node.running(), self.node.text()[-5000:]
        assert self.node.stop() == 0
        wrong = self.federation.unexpected()
        assert not wrong, "\n".join(wrong)


class Work:
    """A message at work, from the side of its worker."""

    def __init__(self, victim, **order):
        self.message = victim.judge.send(victim.id, "echo", **order)
        self.worker, self.token = victim.worker()
        self.channel = grpc.insecure_channel(victim.address, ALONE)
        self.stub = ClientAppIoStub(self.channel)
        self.inputs = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.channel.close()
        self.worker.close()

    def pull(self):
        request = api.PullClientAppInputsRequest(token=self.token)
        self.inputs = self.stub.PullClientAppInputs(request, timeout=10)
        return self.inputs

    def answer(self):
        """A good answer: the content and the context as they came."""
        instruction = serde.message_from_proto(self.inputs.message)
        reply = serde.message_to_proto(instruction.create_reply(instruction.content))
        return api.PushClientAppOutputsRequest(
            token=self.token, message=reply, context=self.inputs.context
        )

    def push(self, answer):
        assert self.stub.PushClientAppOutputs(answer, timeout=10).status.code == 0

    def status(self, request, path=PUSH):
        """The number of the status of a call on this worker's connection."""
        return status_of(self.channel, path, request)


def status_of(channel, path, request):
    try:
        channel.unary_unary(path)(request, timeout=10)
    except grpc.RpcError as error:
        return error.code().value[0]
    return 0


def ask(victim, opening, seconds=30):
    """What gRPC answers on stream 1 of a new connection that says this."""
    with Connection(victim.address, PREFACE + settings() + opening) as connection:
        status = connection.wait_status(seconds=seconds)
        assert status, "the connection ended without a status"
        return status


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """(federation, desk, judge): a SuperLink with a run; each test has a node of its own."""
    binaries = os.environ.get("FLWR_BIN_DIR")
    assert binaries, "FLWR_BIN_DIR must name the folder of flower-supernode"
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limits[1], limits[1]))
    federation = conftest.TestedFederation(tmp_path_factory.mktemp("lab"), sys.prefix, binaries)
    federation.expect(r"worker API: ", r"message failed: ")
    desk = Desk(federation)
    federation.binaries = desk.bin
    wrong = []
    try:
        federation.start_superlink()
        yield federation, desk, federation.judge()
    finally:
        wrong = federation.finish()
        desk.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert not wrong, "\n".join(wrong)


@contextmanager
def node_of(lab, request, options):
    """A node that has served a message; it forgets all connections, and ends well."""
    victim = Victim(lab, options)
    request.node.failed = False
    try:
        victim.serve()
        few = victim.descriptors() + 8
        yield victim
        if not victim.stuck:
            wait_until(lambda: victim.descriptors() <= few, "its connections are forgotten", 20)
    finally:
        if request.node.failed:
            print(victim.node.text()[-20000:])
        victim.end()
        victim.federation.nodes.remove(victim.node)


@pytest.fixture
def victim(request, lab):
    """A node for the test alone; parametrized with more options where it needs them."""
    with node_of(lab, request, getattr(request, "param", {})) as victim:
        yield victim


@pytest.fixture(scope="module")
def slow(request, lab):
    """(node, connections that say nothing or half of the preface, ones that have begun a call):
    opened before the first test that asks for them, so that the last one need not wait."""
    with node_of(lab, request, {}) as victim, ExitStack() as stack:
        victim.reset_peak()

        def connect(opening):
            return stack.enter_context(Connection(victim.address, opening))

        openings = [PREFACE[:1], PREFACE[:10], PREFACE[:-1], *[b""] * 1000]
        silent = [connect(opening) for opening in openings]
        silent[1].finish()
        begun = [
            connect(PREFACE + settings() + headers(1, path) + data(1, message(b"\x08", 600 * MIB)))
            for path in (GET, PULL)
        ]
        yield victim, silent, begun


def test_slow_ones(slow):
    """A thousand that say nothing, and some that say little, keep nobody from work."""
    victim, silent, begun = slow
    victim.serve()
    assert victim.descriptors() > 1000
    half_closed = silent.pop(1)
    half_closed.wait_end(seconds=5)
    assert not any(ready(each.socket, select.POLLIN, 0) for each in silent)


# ---- what is neither gRPC nor HTTP/1.1 ----


def tls_hello():
    context = ssl.create_default_context()
    sent = ssl.MemoryBIO()
    try:
        context.wrap_bio(ssl.MemoryBIO(), sent, server_hostname="localhost").do_handshake()
    except ssl.SSLWantReadError:
        pass
    return sent.read()


NO_GRPC = "which is neither gRPC nor HTTP/1.1: closed"
OPENINGS = {
    "random": (random.Random(4).randbytes(100000), NO_GRPC),
    "zeros": (bytes(100000), NO_GRPC),
    "tls": (tls_hello(), "speaks TLS, which this worker API is without"),
    "ssh": (b"SSH-2.0-OpenSSH_9.2p1\r\n", NO_GRPC),
    "almost": (PREFACE[:-1] + b"\r", NO_GRPC),
}


@pytest.mark.parametrize("opening, says", OPENINGS.values(), ids=OPENINGS)
def test_no_grpc(victim, opening, says):
    """It is hung up on at once, ten times in a row, and one line says what it was."""
    with victim.unharmed(says=says):
        for _ in range(10):
            with Connection(victim.address, opening) as connection:
                connection.wait_end()
                assert connection.frames == []


@pytest.mark.parametrize("victim", [{"--clientappio-api-address": None}], indirect=True)
def test_no_grpc_on_private_socket(victim):
    """The node's user can reach it, too; the line says which process that was."""
    opening, _ = OPENINGS["ssh"]
    with victim.unharmed(says=f"pid {os.getpid()}, uid {os.getuid()}: says \"SSH-2.0-"):
        with Connection(victim.address, opening) as connection:
            connection.wait_end()


# ---- HTTP/2, badly ----

FATAL = {
    "preface again": PREFACE,
    "a frame too long": frame(Frame.DATA, 0, 1, bytes(100), length=0xFFFFFF),
    "settings of 5 bytes": frame(Frame.SETTINGS, 0, 0, bytes(5)),
    "settings on a stream": frame(Frame.SETTINGS, 0, 1, bytes(6)),
    "a ping of 7 bytes": frame(Frame.PING, 0, 0, bytes(7)),
    "a window of nothing": frame(Frame.WINDOW_UPDATE, 0, 0, bytes(4)),
    "continuation of nothing": frame(Frame.CONTINUATION, END_HEADERS, 1, b"\x83"),
    "data among headers": headers(1, GET, 0) + data(1, message(b""), END_STREAM),
    "a header of 1 MiB": frame(Frame.HEADERS, 0, 1, request_fields(GET) + b"\0\1a" + integer(MIB))
    + frame(Frame.CONTINUATION, 0, 1, b"a" * 16000) * 66
    + frame(Frame.CONTINUATION, END_HEADERS, 1),
    "headers that are none": frame(Frame.HEADERS, END_HEADERS | END_STREAM, 1, b"\xff" * 200),
    "an index that is none": frame(Frame.HEADERS, END_HEADERS | END_STREAM, 1, b"\x80"),
    "headers that unpack to 3 GB": frame(
        Frame.HEADERS, 0, 1, request_fields(GET) + b"\x40\1z" + integer(4000) + b"y" * 4000
    )
    + frame(Frame.CONTINUATION, 0, 1, b"\xbe" * 16000) * 50
    + frame(Frame.CONTINUATION, END_HEADERS, 1),
}
HARMLESS = {
    "an unknown frame": frame(0xFA, 0xFF, 0, bytes(100)),
    "data on stream 0": frame(Frame.DATA, 0, 0, b"abc"),
    "data on a stream that is none": frame(Frame.DATA, 0, 7, b"abc"),
    "a reset of nothing": reset(7),
    "a promise": frame(Frame.PUSH_PROMISE, END_HEADERS, 7, bytes(4) + b"\x83"),
    "no new call": frame(Frame.GOAWAY, 0, 0, bytes(8)),
    "too large a window": frame(Frame.WINDOW_UPDATE, 0, 0, b"\x7f\xff\xff\xff") * 3,
}


def test_broken_frames(victim):
    """Whoever breaks HTTP/2 is hung up on; nobody waits for what cannot come."""
    with victim.unharmed(), grpc.insecure_channel(victim.address, ALONE) as channel:
        for name, frames in FATAL.items():
            with Connection(victim.address, PREFACE + settings() + frames) as connection:
                connection.wait_end(name, 10)
            assert status_of(channel, GET, b"") == PRECONDITION, name
        for name, frames in HARMLESS.items():
            with Connection(victim.address, PREFACE + settings() + frames) as connection:
                connection.finish()
                connection.wait_end(name, 10)
            assert status_of(channel, GET, b"") == PRECONDITION, name


def test_random_frames(victim):
    """A good conversation with some bytes turned, and headers before rubbish."""
    rng = random.Random(40)
    good = settings() + headers(1, PULL) + data(1, message(b"\x08\x05"), END_STREAM)
    good += frame(Frame.PING, 0, 0, bytes(8)) + settings((INITIAL_WINDOW_SIZE, 100000))
    with victim.unharmed():
        for number in range(300):
            turned = bytearray(good)
            for _ in range(rng.randint(1, 5)):
                turned[rng.randrange(len(turned))] = rng.randrange(256)
            if number % 3 == 0:
                turned = settings() + rng.randbytes(rng.randrange(1000))
            elif number % 3 == 1:
                turned = turned[: rng.randrange(len(turned))]
            with Connection(victim.address, PREFACE + turned) as connection:
                connection.finish()
                connection.wait_end(seconds=10)


# ---- too much ----

N = 10000
NUMBERS = range(1, 2 * N, 2)  # of streams
FLOODS = {
    "settings": settings((INITIAL_WINDOW_SIZE, 70000)) * N,
    "ping-answers": frame(Frame.PING, 1, 0, bytes(8)) * N,
    "windows": frame(Frame.WINDOW_UPDATE, 0, 0, b"\0\0\0\1") * N,
    "priorities": frame(Frame.PRIORITY, 0, 1, bytes(5)) * N,
    "unknown-frames": frame(0xFA, 0, 0, bytes(1000)) * N,
    "goodbyes": frame(Frame.GOAWAY, 0, 0, bytes(8)) * N,
    "empty-data": headers(1, GET) + frame(Frame.DATA, 0, 1) * N,
    "empty-headers": frame(Frame.HEADERS, 0, 1) + frame(Frame.CONTINUATION, 0, 1) * N,
    "headers-without-end": frame(Frame.HEADERS, 0, 1, request_fields(GET))
    + frame(Frame.CONTINUATION, 0, 1, field("a", "b" * 100) * 10) * N,
    "trailers": headers(1, PUSH) + frame(Frame.HEADERS, END_HEADERS, 1, field("a", "b")) * N,
    "resets-of-nothing": b"".join(reset(number) for number in NUMBERS),
}


@pytest.mark.parametrize("read", [True, False], ids=["reading", "not-reading"])
def test_floods(victim, read):
    """Ten thousand of each kind of frame, by a peer that takes the answers, and one that does not.
    The good message is served while they are still connected."""
    with ExitStack() as connections:
        for flood in FLOODS.values():
            with victim.unharmed():
                connection = connections.enter_context(
                    Connection(victim.address, receive_buffer=None if read else 4096)
                )
                connection.send(flood, read, 30 if read else 1)


FLOOD_S = 0.5
FLOODING = 64  # MiB that a flood may cost at any time, however long it lasts
HEALTH = "/grpc.health.v1.Health/Check"


@pytest.mark.parametrize("victim", [{"--health-server-address": "127.0.0.1:0"}], indirect=True)
def test_lasting_floods(victim):
    """Each of them for a while, from one connection and from several, at one of both addresses:
    good workers are served meanwhile, one that has shown its token among them, and memory is
    bounded and goes back."""
    health = victim.node.find(r"health: listening at (\S+)").group(1)
    victim.federation.expect(r"(worker API|health): \S+: .*(closed| refused)")
    victim.reset_peak()
    before = victim.kib("VmRSS")
    with Work(victim) as work:
        work.pull()
        for number, make in enumerate(FLOODS_OF_STREAMS.values()):
            address, path = (health, HEALTH) if number % 4 == 2 else (victim.address, GET)
            for peers in (1, 8):
                with flooding(address, path, make, peers, FLOOD_S):
                    request = api.PullClientAppInputsRequest(token=work.token)
                    assert work.status(request.SerializeToString(), PULL) == 0
                    with grpc.insecure_channel(victim.address, ALONE) as channel:
                        assert status_of(channel, GET, b"") == PRECONDITION
        work.push(work.answer())
        assert victim.judge.reply(work.message, 10)["code"] == 0
    victim.serve()
    if not SANITIZED:
        assert victim.kib("VmHWM") - before < FLOODING * 1024
        wait_until(lambda: victim.kib("VmRSS") - before < SMALL * 1024, "memory goes back", 30)


def test_ping_flood(victim):
    with Connection(victim.address) as connection, victim.unharmed():
        connection.send(frame(Frame.PING, 0, 0, bytes(8)) * N)


CALLS_BY_THE_THOUSAND = {
    "calls": (GET, data(0, message(b""), END_STREAM)),
    "token-resets": (GET, reset(0)),
    "push-resets": (PUSH, reset(0)),
    "no-method-resets": ("/nothing", reset(0)),
}


@pytest.mark.parametrize(
    "path, rest", CALLS_BY_THE_THOUSAND.values(), ids=CALLS_BY_THE_THOUSAND
)
def test_call_flood(victim, path, rest):
    """Calls that are taken back at once, or not waited for: they cost nothing that stays."""
    calls = b"".join(
        headers(number, path) + rest[:5] + number.to_bytes(4, "big") + rest[9:]
        for number in NUMBERS
    )
    with Connection(victim.address) as connection, victim.unharmed():
        connection.send(calls)
        with grpc.insecure_channel(victim.address, ALONE) as channel:
            assert status_of(channel, GET, b"") == PRECONDITION


@pytest.mark.parametrize("peers", [1, 20])
def test_unfinished_calls(victim, peers):
    """Peers that open calls and send no message have a hundred each, and more are held back; when
    there are too many of them, some are cut, and others are served meanwhile. All are forgotten
    with their connections."""
    calls = b"".join(headers(number, GET) for number in NUMBERS[:300])
    with victim.unharmed(), ExitStack() as stack:
        many = [stack.enter_context(Connection(victim.address)) for _ in range(peers)]
        for each in many:
            each.send(calls)
        victim.serve()
        many[0].receive()
        assert peers > 1 or not many[0].ended
        assert many[0].count(Frame.HEADERS) == 0


def test_calls_before_settings(victim):
    """A client that has not heard the node's limit yet begins twenty calls before it sends their
    messages: each is answered."""
    numbers = NUMBERS[:20]
    opening = b"".join(headers(number, GET) for number in numbers)
    opening += b"".join(data(number, message(b""), END_STREAM) for number in numbers)
    with victim.unharmed(), Connection(victim.address, PREFACE + settings() + opening) as client:
        ends = (Frame.HEADERS, END_HEADERS | END_STREAM)
        assert client.wait(
            lambda: len([each for each in client.frames if each[:2] == ends]) == len(numbers),
            "all are answered",
            5,
        )


# ---- too little, too late ----

HALVES = [
    b"",
    PREFACE,
    PREFACE + settings(),
    PREFACE + settings()[:5],
    PREFACE + settings() + headers(1, PULL)[:50],
    PREFACE + settings() + headers(1, PULL),
    PREFACE + settings() + headers(1, PULL) + data(1, message(b"\x08\x05")[:6]),
    PREFACE + settings() + headers(1, PUSH) + data(1, message(bytes(100), 600 * MIB)),
]


def test_half_open(victim):
    """Who says that no more will come is hung up on, however far it had got."""
    with victim.unharmed():
        for opening in HALVES * 50:
            with Connection(victim.address, opening) as connection:
                connection.finish()
                connection.wait_end(seconds=10)


def test_idle_connections(victim):
    """A thousand that speak HTTP/2 and ask for nothing."""
    with victim.unharmed(grows=128), ExitStack() as stack:
        idle = [stack.enter_context(Connection(victim.address)) for _ in range(1000)]
        for connection in idle:
            connection.wait(lambda it=connection: it.count(Frame.SETTINGS), "settings")
        victim.serve()
        assert victim.descriptors() > 1000
        assert not any(connection.ended for connection in idle)


def test_too_many_connections(victim):
    """There is a limit, and one line says so; afterwards all is as it was."""
    most = min(2048, (resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 128) // 3)
    with victim.unharmed(says="the one idle longest is closed"):
        with ExitStack() as stack:
            many = [stack.enter_context(Connection(victim.address, b"")) for _ in range(most + 10)]
            ended = lambda some: [each for each in some if ready(each.socket, select.POLLIN, 0)]
            wait_until(lambda: len(ended(many[:10])) >= 5, "the oldest are closed")
            assert not ended(many[10:])
        wait_until(lambda: victim.descriptors() < most, "they are forgotten")


def test_reader_who_does_not_read(victim):
    """A worker asks twenty times for large inputs and takes none: they are in memory once."""
    windows = settings((INITIAL_WINDOW_SIZE, 1 << 30))
    windows += frame(Frame.WINDOW_UPDATE, 0, 0, (1 << 30).to_bytes(4, "big"))
    with victim.unharmed(grows=50 + SMALL), ExitStack() as stack:
        with Work(victim, bytes=50 * MIB) as work:
            body = data(1, message(asks(work.token)), END_STREAM)
            for _ in range(20):
                opening = PREFACE + windows + headers(1, PULL) + body
                connection = Connection(victim.address, opening, receive_buffer=4096)
                stack.enter_context(connection)
                connection.wait(lambda it=connection: it.count(Frame.HEADERS), "the answer begins")
        assert victim.judge.reply(work.message, 10)["code"] == 8


# ---- calls that are none ----

CALLS = {
    "another service": (headers(1, "/flwr.proto.Fleet/PullMessages"), UNIMPLEMENTED),
    "another method": (headers(1, SERVICE + "TakeToken"), UNIMPLEMENTED),
    "another case": (headers(1, SERVICE + "getToken"), UNIMPLEMENTED),
    "no slash": (headers(1, "GetToken"), UNIMPLEMENTED),
    "a slash too many": (headers(1, GET + "/"), UNIMPLEMENTED),
    "a slash only": (headers(1, "/"), UNIMPLEMENTED),
    "a long path": (headers(1, GET + "n" * 6000), UNIMPLEMENTED),
    "no UTF-8": (headers(1, GET.encode() + b"\xff\xfe"), UNIMPLEMENTED),
    "another verb": (
        frame(Frame.HEADERS, END_HEADERS, 1, b"\x82" + request_fields(GET)[1:]),
        UNKNOWN,
    ),
    "no te": (headers(1, GET, te=None), UNKNOWN),
    "compressed": (headers(1, GET, **{"grpc-encoding": "gzip"}), UNIMPLEMENTED),
    "no message": (headers(1, PULL, END_HEADERS | END_STREAM), INVALID),
    "half a message": (headers(1, PULL) + data(1, message(b"\x08", 9), END_STREAM), INVALID),
    "a token too long": (headers(1, PULL) + data(1, message(bytes(5000)), END_STREAM), EXHAUSTED),
    "broken bytes": (headers(1, PULL) + data(1, message(b"\xff" * 9), END_STREAM), INVALID),
    "attend too long": (headers(1, ATTEND) + data(1, message(bytes(65)), END_STREAM), EXHAUSTED),
    "attend nothing": (headers(1, ATTEND) + data(1, message(b""), END_STREAM), INVALID),
    "attend in the other service": (headers(1, SERVICE + "Attend"), UNIMPLEMENTED),
}


def test_wrong_calls(victim):
    with victim.unharmed():
        for name, (call, status) in CALLS.items():
            if status == UNIMPLEMENTED:
                call += data(1, message(b""), END_STREAM)
            assert ask(victim, call)[0] == status, name


@pytest.mark.parametrize("path, status", [(PUSH, PRECONDITION), ("/nothing", UNIMPLEMENTED)])
def test_large_request_refused(victim, path, status):
    """600 MiB that nothing waits for: refused before they are here."""
    large_request(victim, path, status)


@pytest.mark.parametrize("path", [GET, PULL, ATTEND], ids=["token", "pull", "attend"])
def test_large_request_for_token(victim, path):
    """600 MiB where a token is expected: refused without memory for them."""
    large_request(victim, path, EXHAUSTED)


def large_request(victim, path, status):
    with victim.unharmed():
        with Connection(victim.address) as connection:
            connection.shake_hands()
            connection.send(headers(1, path))
            connection.pour(message(b"", 600 * MIB), 600 * MIB)
            answer = connection.wait_status()
            # Over TCP, without a token, it is cut off before.
            assert answer is None or answer[0] == status


@pytest.mark.parametrize("victim", [{"--clientappio-api-address": None}], indirect=True)
@pytest.mark.parametrize("path", [GET, PULL, ATTEND], ids=["token", "pull", "attend"])
def test_large_request_at_unix_socket(victim, path):
    """The same by a process that may connect and shows no token: it is cut off, too. How much has
    come until then the kernel does not say: less than a third."""
    with victim.unharmed(grows=200, says="sends too much without a token: closed"):
        with Connection(victim.address) as connection:
            connection.shake_hands()
            connection.send(headers(1, path))
            connection.pour(message(b"", 600 * MIB), 600 * MIB)
            connection.wait_end()


BAD = 8


def after_one_another(address, bad, good):
    """Bad calls on a connection, some at a time, and then a good one that is answered; until the
    connection ends. All are so many that new ones wait soon."""
    with Connection(address) as connection:
        connection.shake_hands()
        for number in range(1, 1201, 2 * BAD + 2):
            after = number + 2 * BAD
            connection.send(b"".join(bad(each) for each in range(number, after, 2)))
            connection.send(headers(after, good) + data(after, message(b""), END_STREAM))
            connection.wait(
                lambda it=after: any(
                    each[:3] == (Frame.HEADERS, END_HEADERS | END_STREAM, it)
                    for each in connection.frames
                ),
                "an answer",
            )
        connection.wait_end()


REFUSED_OFTEN = "too many calls were refused: closed"
TAKEN_BACK = "takes back too many calls: closed"


def test_calls_taken_back(victim):
    """A peer that takes back one call after the other is cut off, though it sends little. Some of
    them are calls without a message by the time that they are looked at, which is a line of its
    own."""
    with victim.unharmed():
        after_one_another(victim.address, lambda number: headers(number, GET) + reset(number), GET)


@pytest.mark.parametrize("victim", [{"--health-server-address": "127.0.0.1:0"}], indirect=True)
@pytest.mark.parametrize(
    "bad, says",
    [
        (lambda number: headers(number, "/nothing", END_HEADERS | END_STREAM), REFUSED_OFTEN),
        (lambda number: headers(number, HEALTH) + reset(number), TAKEN_BACK),
    ],
    ids=["refused", "taken-back"],
)
def test_calls_at_health(victim, bad, says):
    """The health service cuts off a peer whose calls are refused, or taken back, again and
    again."""
    health = victim.node.find(r"health: listening at (\S+)").group(1)
    victim.federation.expect(rf"health: \S+: {says}")
    with victim.unharmed(says=says):
        after_one_another(health, bad, HEALTH)


@pytest.mark.parametrize("victim", [{"--memory-budget": "64M"}], indirect=True)
def test_large_outputs_of_a_stranger(victim):
    """While a message is at work its outputs may come on any connection: from a stranger, too, they
    are taken up to the memory budget (and what is spared for requests), and then they are not."""
    with victim.unharmed(grows=64 + 64 + SMALL), Work(victim) as work:
        work.pull()
        with Connection(victim.address) as connection:
            connection.shake_hands()
            connection.send(headers(1, PUSH))
            connection.pour(message(b"", 600 * MIB), 600 * MIB)
            connection.wait(connection.status, "an answer, or the end")
            assert connection.poured < 300 * MIB
            status = connection.status()
            assert status is None or status[0] in (CANCELLED, EXHAUSTED)
        work.push(work.answer())
        assert victim.judge.reply(work.message, 10)["code"] == 0


def test_queue_of_strangers(victim):
    """Of those that have shown no token one is listened to and sixteen wait; the worker that has
    shown its own waits for nobody."""
    with victim.unharmed(says="too many contents are waiting"), Work(victim) as work:
        work.pull()
        outputs = headers(1, PUSH) + data(1, message(bytes(100), 600 * MIB))
        with ExitStack() as stack:
            strangers = [
                stack.enter_context(Connection(victim.address, PREFACE + settings() + outputs))
                for _ in range(18)
            ]

            def answered():
                for each in strangers:
                    each.receive()
                return [each for each in strangers if each.status()]

            (refused,) = wait_until(answered, "one is refused")
            assert refused.status()[0] == EXHAUSTED
            work.push(work.answer())
            assert victim.judge.reply(work.message, 10)["code"] == 0


@pytest.mark.parametrize("victim", [{"--worker-timeout": 2}], indirect=True)
def test_outputs_of_an_ended_message(victim):
    """Who sends outputs, or waits for that, is answered when no message waits for them any more."""
    with victim.unharmed(), Work(victim) as work, ExitStack() as stack:
        work.pull()
        outputs = headers(1, PUSH) + data(1, message(bytes(100), 600 * MIB))
        strangers = [
            stack.enter_context(Connection(victim.address, PREFACE + settings() + outputs))
            for _ in range(3)
        ]
        assert victim.judge.reply(work.message, 20)["code"] == 8
        for each in strangers:
            assert each.wait_status(seconds=10)[0] == PRECONDITION


# ---- messages that are none ----


GROUPS = b"\x0b" * 10000 + b"\x0c" * 10000  # nested, too, in protobuf's older way


OUTPUTS = api.PushClientAppOutputsRequest


def asks(token):
    """A request that has nothing but a token, of any method."""
    return api.PullClientAppInputsRequest(token=token).SerializeToString()


def outputs(work, *, token=None, message=None, context=None):
    """A worker's outputs in bytes: good ones, but for what is given."""
    good = work.answer()
    token = work.token if token is None else token
    message = good.message.SerializeToString() if message is None else message
    context = good.context.SerializeToString() if context is None else context
    parts = wire.field(OUTPUTS, "message", message) + wire.field(OUTPUTS, "context", context)
    return asks(token) + parts


def broken_outputs(work):
    """{name: bytes}: what must not be taken for outputs, from whoever has the right token."""
    good = work.answer()
    metadata = Message(metadata=good.message.metadata).SerializeToString()
    content = Message(content=good.message.content).SerializeToString()
    failed = Message(error=Error(code=4)).SerializeToString()

    def of_metadata(name, bytes):
        return wire.field(Message, "metadata", wire.field(Metadata, name, bytes))

    messages = {
        "no content": metadata,
        "content and error": metadata + content + failed,
        "nested metadata": b"".join(
            wire.field(Message, "metadata", wire.nested(wire.number_of(Metadata, name)))
            for name in ("run_id", "message_id")
        ),
        "nested unknown fields": metadata + wire.nested(wire.UNKNOWN),
        "nested groups": metadata + content + GROUPS,
        "nested groups in metadata": wire.field(Message, "metadata", GROUPS) + content,
        "a type that is no UTF-8": of_metadata("message_type", b"\xff\xfe") + content,
        "a group with a NUL": of_metadata("group_id", b"a\0b") + content,
        "a group in overlong UTF-8": of_metadata("group_id", b"\xc0\x80") + content,
        "a reason with a surrogate": metadata
        + failed
        + wire.field(Message, "error", wire.field(Error, "reason", b"\xed\xa0\x80")),
        "a group of 1 MiB": of_metadata("group_id", b"a" * MIB) + content,
        "rubbish": b"\xff" * 100,
    }
    contexts = {
        "no context": b"",
        "a context of nobody": Context(run_id=5, node_id=5).SerializeToString(),
        "a nested context": wire.nested(wire.number_of(Context, "state")),
        "a context of groups": GROUPS,
        "a broken context": good.context.SerializeToString() + b"\xff",
    }
    return {
        "nothing": b"",
        "nested requests": wire.nested(wire.number_of(OUTPUTS, "message")),
        "groups behind good outputs": outputs(work) + GROUPS,
        "a token of 11 bytes": b"\x08" + b"\xff" * 10 + b"\1",
        **{name: outputs(work, message=each) for name, each in messages.items()},
        **{name: outputs(work, context=each) for name, each in contexts.items()},
    }


def test_broken_outputs(victim):
    """Whoever has the right token and sends rubbish is told so, and may then do better."""
    with victim.unharmed(says="refused: INVALID_ARGUMENT"), Work(victim) as work:
        work.pull()
        for name, broken in broken_outputs(work).items():
            assert work.status(broken) == INVALID, name
        # A token in words is as releases from 1.20 on write it: one that nobody has.
        words = wire.field(OUTPUTS, "token", b"token") + outputs(work, token=0)
        assert work.status(words) == DENIED
        work.push(work.answer())
        assert victim.judge.reply(work.message, 10)["code"] == 0


def test_truncated_outputs(victim):
    with victim.unharmed(says="refused: INVALID_ARGUMENT"), Work(victim) as work:
        work.pull()
        good = outputs(work)
        for length in range(len(good)):
            assert work.status(good[:length]) == INVALID, length
        assert work.status(good) == 0
        assert victim.judge.reply(work.message, 10)["code"] == 0


def test_bad_content(victim):
    """What the SuperLink cannot read ends in an error reply, or is refused; others are served."""
    victim.federation.expect(r"PushMessages failed", r"reply not understood by the SuperLink")
    victim.stuck = True
    with Work(victim) as work:
        work.pull()
        metadata = Message(metadata=work.answer().message.metadata).SerializeToString()
        named = wire.field(RecordSet.ParametersEntry, "key", b"\xff")  # a record's name
        named += wire.field(RecordSet.ParametersEntry, "value", b"")
        no_utf8 = wire.field(Message, "content", wire.field(RecordSet, "parameters", named))
        work.status(outputs(work, message=metadata + no_utf8))
    assert victim.judge.reply(work.message, 60)["code"] == 8
    victim.serve()
    victim.stuck = False


def test_bad_state(victim):
    """A context whose state cannot be read is not kept for the next message."""
    with Work(victim) as work:
        work.pull()
        context = work.inputs.context.SerializeToString()
        context += wire.field(Context, "state", b"\xff" * 20)
        work.status(outputs(work, context=context))
    victim.judge.reply(work.message, 10)
    victim.serve()


# ---- tokens ----


def test_wrong_tokens(victim):
    """A thousand guesses, while a message is at work, and some that stand out."""
    rng = random.Random(400)
    with victim.unharmed(says="refused: INVALID_ARGUMENT"), Work(victim) as work:
        work.pull()
        striking = [0, 1, 2**63, 2**64 - 1, work.token ^ 1, work.token ^ 1 << 63]
        with grpc.insecure_channel(victim.address, ALONE) as channel:
            for token in striking:
                assert status_of(channel, PULL, asks(token)) == INVALID
                assert status_of(channel, ATTEND, asks(token)) == INVALID
                assert status_of(channel, PUSH, outputs(work, token=token)) == INVALID
            guesses = [
                channel.unary_unary(PULL).future(asks(token), timeout=20)
                for token in [rng.getrandbits(64) for _ in range(1000)]
            ]
            # Who is refused so often is cut off.
            codes = {guess.code().value[0] for guess in guesses}
            assert codes <= {INVALID, EXHAUSTED, UNAVAILABLE}
        work.push(work.answer())
        assert victim.judge.reply(work.message, 10)["code"] == 0


def test_attended_by_many(victim):
    """Those for whom there is room learn of the end, the others that there is none; the worker goes
    on meanwhile."""
    with victim.unharmed(), Work(victim) as work:
        work.pull()
        with ExitStack() as stack:
            calls = []
            for _ in range(10):
                channel = stack.enter_context(grpc.insecure_channel(victim.address, ALONE))
                attend = channel.unary_unary(ATTEND)
                calls += [attend.future(asks(work.token), timeout=30) for _ in range(15)]
            wait_until(lambda: sum(not call.running() for call in calls) >= 150 - 64, "the rest")
            full = [call for call in calls if not call.running()]
            assert {call.code() for call in full} == {grpc.StatusCode.UNAVAILABLE}
            work.push(work.answer())
            assert victim.judge.reply(work.message, 10)["code"] == 0
            assert sum(call.code() == grpc.StatusCode.OK for call in calls) == 64


def test_replayed_outputs(victim):
    """A worker's requests, sent again by somebody: when they were answered, when nothing is at
    work, when the next message is, before and after its inputs are pulled."""
    with victim.unharmed(says="refused: "):
        with Work(victim) as work:
            work.pull()
            pull, push = asks(work.token), outputs(work)
            assert work.status(push) == 0
            assert work.status(push) == PRECONDITION
            assert work.status(pull, PULL) == PRECONDITION
            assert victim.judge.reply(work.message, 10)["bytes"] == 0
        with grpc.insecure_channel(victim.address, ALONE) as channel:
            assert status_of(channel, PUSH, push) == PRECONDITION
            assert status_of(channel, PULL, pull) == PRECONDITION
            with Work(victim, bytes=1000) as work:
                assert status_of(channel, PULL, pull) == INVALID
                assert status_of(channel, PUSH, push) == PRECONDITION
                work.pull()
                assert status_of(channel, PULL, pull) == INVALID
                assert status_of(channel, PUSH, push) == INVALID
                work.push(work.answer())
                reply = victim.judge.reply(work.message, 10)
                assert (reply["code"], reply["bytes"]) == (0, 1000)


def test_finished_twice_at_once(victim):
    """Five workers with one token: all get the inputs, one finishes, the others are told."""
    with victim.unharmed(), Work(victim) as work:
        with ExitStack() as stack:
            channels = [
                stack.enter_context(grpc.insecure_channel(victim.address, ALONE)) for _ in range(5)
            ]
            for channel in channels:
                assert status_of(channel, PULL, asks(work.token)) == 0
            work.pull()
            push = outputs(work)
            calls = [channel.unary_unary(PUSH).future(push, timeout=10) for channel in channels]
            codes = sorted(call.code().value[0] for call in calls)
            assert codes == [0, *[PRECONDITION] * 4]
        assert victim.judge.reply(work.message, 10)["code"] == 0


@pytest.mark.parametrize("victim", [{"--worker-timeout": 2}], indirect=True)
def test_never_finished(victim):
    """A worker that pulls and then is silent: an error reply; what it says later counts no more."""
    with victim.unharmed(says="refused: FAILED_PRECONDITION"), Work(victim) as work:
        work.pull()
        reply = victim.judge.reply(work.message, 20)
        assert reply["code"] == 8 and "--worker-timeout" in reply["reason"]
        assert work.status(outputs(work)) == PRECONDITION


def test_never_begun(victim):
    """A worker that never calls: an error reply before the message's time is over."""
    with victim.unharmed(), Work(victim, ttl=8.0) as work:
        reply = victim.judge.reply(work.message, 20)
        assert reply["code"] == 8 and "ttl" in reply["reason"]


# ---- what was begun at the start ----


def test_slow_ones_end(slow):
    """Who said nothing, half of the preface or half of a request is ended after a while."""
    victim, silent, begun = slow
    for connection in begun:
        assert connection.wait_status(seconds=60)[0] == LATE
    for connection in silent:
        connection.wait_end(seconds=20)
    victim.serve()
    assert SANITIZED or victim.kib("VmHWM") < victim.kib("VmRSS") + SMALL * 1024
    lines = victim.complaints(0)
    assert 0 < len(lines) < 4
    late = "said nothing that is gRPC or HTTP/1.1 in time|not arrive in time"
    assert any(re.search(late, e) for e in lines)
