"""The legacy stream (supernode/link/bidi.c), by examples/bidi-client, at flwr.server.start_server
and at servers that misbehave."""

import contextlib
import hashlib
import json
import os
import signal
import socket
import struct
import subprocess
import threading
from concurrent import futures
from pathlib import Path
from types import SimpleNamespace

import grpc
import numpy as np
import pytest
from federation import http2
from federation.credentials import Certificates
from federation.processes import free_ports, wait_until
from federation.release import find
from flwr.common import serde
from flwr.proto.transport_pb2 import ClientMessage, Reason, Scalar, ServerMessage
from kit.relay import Relay
from rpc_driver import SECONDS

HERE = Path(__file__).parent
JOIN = "/flwr.proto.FlowerService/Join"
OPTIONS = [("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", 512 << 20)]
RECEIVE_MAX = 512 << 20  # of the example
OK = ["OK", "ok"]
START = [0.0, 0.0, 0.0, 0.0]


class Client:
    """A process of the example, and what it has written."""

    def __init__(self, address, *words):
        program = Path(os.environ["FLWR_BIN_DIR"]).parent / "examples/bin/bidi-client"
        self.process = subprocess.Popen([program, address, *words], stderr=subprocess.PIPE, text=True)
        self.lines = []
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.process.stderr:
            self.lines.append(line)

    def wait(self, seconds=SECONDS):
        status = self.process.wait(seconds)
        self.reader.join(SECONDS)
        return status

    def memory(self):
        """Bytes that it has had at most, as seen until it ends."""
        most = 0
        status = Path(f"/proc/{self.process.pid}/status")
        while self.process.poll() is None:
            text = status.read_text()
            if "VmHWM:" in text:  # not of one that is ending
                most = 1024 * int(text.split("VmHWM:")[1].split()[0])
        return most

    def wait_line(self, text):
        wait_until(lambda: any(text in line for line in self.lines), text, SECONDS)

    def end(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.wait()


@pytest.fixture
def start():
    clients = []

    def start(*words):
        clients.append(Client(*words))
        return clients[-1]

    yield start
    for client in clients:
        client.end()


# ---- flwr.server.start_server ----


def server(release, port, *words, program="bidi_server.py"):
    """bidi_server.py, with CLIENTS ROUNDS [FOLDER], or another program beside it."""
    try:
        python = find(release).python
    except LookupError as error:
        pytest.skip(str(error))
    command = [python, "-B", HERE / program, *map(str, (port, *words))]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def result_of(process):
    out, errors = process.communicate(timeout=4 * SECONDS)
    assert process.returncode == 0, errors
    (line,) = [line for line in out.splitlines() if line.startswith("RESULT ")]
    # FedAvg's means are rounded.
    return json.loads(line.removeprefix("RESULT "), parse_float=lambda text: round(float(text), 5))


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("release", ["1.15.2", "1.41.0"])
def test_federation(start, tmp_path, release, secure):
    """Ten clients at once; those that come before the server wait for it."""
    number, rounds = 10, 3
    (port,) = free_ports(1)
    files = Certificates(tmp_path) if secure else None
    words = [str(files.authority)] if secure else []
    clients = [start(f"127.0.0.1:{port}", *words) for _ in range(number)]
    clients[0].wait_line("trying again")
    seen = result_of(server(release, port, number, rounds, *([str(tmp_path)] if secure else [])))
    assert [client.wait() for client in clients] == [0] * number
    assert all("dismissed this client" in client.lines[-1] for client in clients)
    assert seen["failures"] == 0
    assert seen["properties"] == [[OK, {"adds": 1.0}]] * number * rounds
    assert seen["parameters"] == [[OK, [START]]] * number * rounds
    assert seen["fit"] == [[[OK, 10, {}]] * number] * rounds
    assert seen["evaluate"] == [[[OK, float(n + 1), {"n": 4}]] * number for n in range(rounds)]
    assert seen["model"] == [[float(rounds)] * 4]
    assert seen["losses"] == [[n + 1, float(n + 1)] for n in range(rounds)]


def test_wrong_certificate(start, tmp_path):
    """It goes on trying, and says why."""
    (port,) = free_ports(1)
    Certificates(tmp_path / "server")
    other = Certificates(tmp_path / "other")
    process = server("1.15.2", port, 1, 1, str(tmp_path / "server"))
    try:
        wait_until(lambda: socket.socket().connect_ex(("127.0.0.1", port)) == 0, "server", SECONDS)
        client = start(f"127.0.0.1:{port}", str(other.authority))
        client.wait_line("UNAVAILABLE")
        assert client.process.poll() is None
    finally:
        process.kill()
        process.communicate()


# ---- a server of this test's own, by grpcio ----


class Judge:
    """Join is a function of the test: it is given the client's messages, and yields bytes."""

    def __init__(self, join, port=0, files=None, threads=4):
        self.join = join
        self.joined = 0
        handler = grpc.stream_stream_rpc_method_handler(self.serve)
        found = SimpleNamespace(service=lambda details: handler if details.method == JOIN else None)
        self.server = grpc.server(futures.ThreadPoolExecutor(threads), options=OPTIONS)
        self.server.add_generic_rpc_handlers((found,))
        where = f"127.0.0.1:{port}"
        if files:
            pair = files.key.read_bytes(), files.certificate.read_bytes()
            self.port = self.server.add_secure_port(where, grpc.ssl_server_credentials([pair]))
        else:
            self.port = self.server.add_insecure_port(where)
        self.target = f"127.0.0.1:{self.port}"
        self.server.start()

    def serve(self, requests, context):
        self.joined += 1
        messages = (ClientMessage.FromString(request) for request in requests)
        yield from self.join(self.joined, messages, context)

    def close(self):
        self.server.stop(0).wait()


@contextlib.contextmanager
def judged(join, **options):
    judge = Judge(join, **options)
    try:
        yield judge
    finally:
        judge.close()


def reconnect(seconds):
    return ServerMessage(reconnect_ins=ServerMessage.ReconnectIns(seconds=seconds)).SerializeToString()


def properties():
    ins = ServerMessage.GetPropertiesIns(config={"key": Scalar(string="value")})
    return ServerMessage(get_properties_ins=ins).SerializeToString()


def parameters(tensor):
    return serde.parameters_to_proto(SimpleNamespace(tensors=[tensor], tensor_type="numpy.ndarray"))


def fit(tensor):
    ins = ServerMessage.FitIns(parameters=parameters(tensor))
    return ServerMessage(fit_ins=ins).SerializeToString()


def evaluate(tensor):
    ins = ServerMessage.EvaluateIns(parameters=parameters(tensor))
    return ServerMessage(evaluate_ins=ins).SerializeToString()


def npy(numbers, head=128):
    """An array as NumPy writes it, as far as the example looks; its head may have another length."""
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", head - 10) + b"{'descr': '<f4'}".ljust(head - 10) + numbers


def dismiss(messages):
    """The last words of every server here."""
    yield reconnect(0)
    assert next(messages).disconnect_res.reason == Reason.RECONNECT
    assert list(messages) == []  # the client half-closes with it


def test_reconnect(start):
    """It leaves for as long as it is told, and comes back by itself."""

    def join(number, messages, context):
        if number == 1:
            yield properties()
            assert next(messages).get_properties_res.properties["adds"].double == 1
            yield reconnect(1)
            assert next(messages).disconnect_res.reason == Reason.RECONNECT
            assert list(messages) == []
            return
        yield from dismiss(messages)

    with judged(join) as judge:
        client = start(judge.target)
        assert client.wait() == 0
        assert judge.joined == 2
        assert any("come back in 1 s" in line for line in client.lines)


def test_leaves_a_server_that_does_not_end(start):
    """Flower's client closes its channel; a stream that the server keeps is cancelled."""
    cancelled = threading.Semaphore(0)

    def join(number, messages, context):
        gone = threading.Event()
        context.add_callback(gone.set)
        yield reconnect(1 if number == 1 else 0)
        assert next(messages).disconnect_res.reason == Reason.RECONNECT
        if gone.wait(SECONDS):
            cancelled.release()

    with judged(join) as judge:
        client = start(judge.target)
        assert client.wait() == 0, client.lines
        assert judge.joined == 2
        assert all(cancelled.acquire(timeout=SECONDS) for _ in range(2))


LARGE = (500 if os.environ.get("FLWR_TEST_LARGE") else 64) << 20


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
def test_a_large_model(start, tmp_path, secure):
    """There and back, each number as it has to be; the client holds it once as it came, and once
    with what it has added."""
    numbers = np.random.default_rng(7).random(LARGE // 4, dtype=np.float32)
    wanted = hashlib.sha256(npy((numbers + 1).tobytes())).digest()
    tensor = npy(numbers.tobytes())
    files = Certificates(tmp_path) if secure else None

    def join(number, messages, context):
        yield fit(tensor)
        result = serde.fit_res_from_proto(next(messages).fit_res)
        assert [hashlib.sha256(each).digest() for each in result.parameters.tensors] == [wanted]
        yield from dismiss(messages)

    with judged(join, files=files) as judge:
        client = start(judge.target, *([str(files.authority)] if secure else []))
        most = client.memory()
        assert client.wait(5 * SECONDS) == 0, client.lines
        assert judge.joined == 1
        if os.environ.get("FLWR_SANITIZE") != "1":
            # What TLS has decrypted lies in pieces of gRPC's that are not full.
            assert most < 2 * LARGE + (96 << 20) + (LARGE // 4 if secure else 0)


def test_instructions_ahead(start):
    """A server that does not wait for replies, which are too large for the window: it gets all of
    them, in order."""
    numbers = bytes(4 << 20)

    def join(number, messages, context):
        with futures.ThreadPoolExecutor(1) as reader:
            replies = reader.submit(lambda: [next(messages) for _ in range(20)])
            for _ in range(10):
                yield fit(npy(numbers))
                yield properties()
            replies = replies.result()
        for trained, told in zip(replies[::2], replies[1::2]):
            result = serde.fit_res_from_proto(trained.fit_res)
            assert result.parameters.tensors == [npy(struct.pack("<f", 1) * (len(numbers) // 4))]
            assert told.get_properties_res.properties["adds"].double == 1
        yield from dismiss(messages)

    with judged(join) as judge:
        client = start(judge.target)
        assert client.wait() == 0, client.lines
        assert judge.joined == 1


@pytest.mark.parametrize("ask", [fit, evaluate])
@pytest.mark.parametrize(
    "tensor",
    [npy(b""), npy(b"123"), npy(bytes(5)), npy(bytes(8), 127), npy(bytes(8))[:9], b"", npy(bytes(8))[:127]],
    ids=["none", "part", "part of two", "head of 127", "cut in the head", "nothing", "cut before the end"],
)
def test_a_wrong_model(start, ask, tensor):
    """The example has no answer, and reads nothing that is not there."""

    def join(number, messages, context):
        if number == 1:
            yield ask(tensor)
            assert list(messages) == []
        else:
            yield from dismiss(messages)

    with judged(join) as judge:
        client = start(judge.target)
        assert client.wait() == 0
        assert any("none of this client's" in line for line in client.lines), client.lines


@pytest.mark.skipif(os.environ.get("FLWR_SANITIZE") == "1", reason="sanitizers keep what was freed")
def test_a_flood(start):
    """A message of twice what the example takes: it holds no more than that of it."""
    flood = bytes(2 * RECEIVE_MAX)

    def join(number, messages, context):
        yield flood
        list(messages)

    with judged(join) as judge:
        client = start(judge.target)
        assert 0 < client.memory() < RECEIVE_MAX + (192 << 20)
        assert client.wait() == 1
        assert "RESOURCE_EXHAUSTED" in client.lines[-1]


# The first stream is not as it should be: what its server does, and what the client says of it.
def garbage(messages, context):
    yield b"\xff\xff\xff"


def no_instruction(messages, context):
    yield b""


def unknown_instruction(messages, context):
    yield bytes([9 << 3 | 2, 0])


def no_model(messages, context):
    yield ServerMessage(fit_ins=ServerMessage.FitIns()).SerializeToString()
    list(messages)


def bad_value(messages, context):
    ins = ServerMessage.GetPropertiesIns(config={"key": Scalar()})
    yield ServerMessage(get_properties_ins=ins).SerializeToString()
    list(messages)


def client_message(messages, context):
    """The kind that only a client sends: its fields are those of others here."""
    yield ClientMessage(fit_res=ClientMessage.FitRes(num_examples=5)).SerializeToString()
    list(messages)


def client_message_with_model(messages, context):
    result = ClientMessage.FitRes(parameters=parameters(npy(bytes(8))), num_examples=5)
    yield ClientMessage(fit_res=result).SerializeToString()
    list(messages)


def ends_at_once(messages, context):
    yield from ()


def instructs_and_ends(messages, context):
    """The reply finds a stream that is gone, or its end comes instead."""
    yield properties()


def sends_ahead_and_ends(messages, context):
    """In the middle of a large reply, while another instruction waits."""
    yield fit(npy(bytes(8 << 20)))
    yield properties()


def half_closes(messages, context):
    yield properties()
    next(messages)


def aborts(messages, context):
    yield properties()
    next(messages)
    context.abort(grpc.StatusCode.UNAVAILABLE, "not now")


def cancels(messages, context):
    yield properties()
    context.cancel()
    yield properties()


def refuses(code):
    """As gRPC understands a proxy that says 401, 403 or 404 for a while."""

    def refuse(messages, context):
        yield properties()
        next(messages)
        context.abort(code, "not you, now")

    refuse.__name__ = code.name
    return refuse


def never_ends_leaving(messages, context):
    """Instructions go on after the one to leave."""
    yield reconnect(1)
    yield from (properties() for _ in range(1000))


AGAIN = {
    garbage: "cannot be read",
    no_instruction: "cannot be read",
    unknown_instruction: "cannot be read",
    instructs_and_ends: "the server has ended the stream",
    sends_ahead_and_ends: "the server has ended the stream",
    ends_at_once: "the server has ended the stream",
    half_closes: "the server has ended the stream",
    aborts: "not now",
    cancels: "CANCELLED",
    never_ends_leaving: "come back in 1 s",
    no_model: "none of this client's",
    bad_value: "the instruction cannot be read",
    client_message: "none of this client's",
    client_message_with_model: "cannot be read",
    refuses(grpc.StatusCode.UNAUTHENTICATED): "not you, now",
    refuses(grpc.StatusCode.PERMISSION_DENIED): "not you, now",
    refuses(grpc.StatusCode.UNIMPLEMENTED): "not you, now",
}


@pytest.mark.parametrize("first", AGAIN, ids=lambda first: first.__name__)
def test_misuse(start, first):
    """It says what was wrong, comes again, and works."""

    def join(number, messages, context):
        if number == 1:
            yield from first(messages, context)
            return
        yield properties()
        assert next(messages).WhichOneof("msg") == "get_properties_res"
        yield from dismiss(messages)

    with judged(join) as judge:
        client = start(judge.target)
        assert client.wait() == 0, client.lines
        assert any(AGAIN[first] in line for line in client.lines), client.lines
        assert judge.joined == 2


REFUSED = ["UNAUTHENTICATED", "PERMISSION_DENIED", "UNIMPLEMENTED"]


@pytest.mark.parametrize("code", REFUSED)
def test_refused_from_the_start(start, code):
    """Another try would change nothing."""

    def join(number, messages, context):
        context.abort(grpc.StatusCode[code], "not you")
        yield

    with judged(join) as judge:
        client = start(judge.target)
        assert client.wait() == 1
        assert f'{code} "not you"' in client.lines[-1]
        assert judge.joined == 1


def test_no_such_service(start):
    """A server that does not know the stream is not tried again."""
    with judged(lambda *_: ()) as judge:
        judge.server.stop(0).wait()
        judge.server = grpc.server(futures.ThreadPoolExecutor(1), options=[("grpc.so_reuseport", 0)])
        judge.server.add_insecure_port(judge.target)
        judge.server.start()
        client = start(judge.target)
        assert client.wait() == 1
        assert "UNIMPLEMENTED" in client.lines[-1]


def test_server_dies_and_comes_back(start):
    """In the middle of a round."""
    asked = threading.Event()

    def first(number, messages, context):
        yield properties()
        next(messages)
        asked.set()
        list(messages)  # silent from now on

    judge = Judge(first)
    client = start(judge.target)
    assert asked.wait(SECONDS)
    judge.close()
    client.wait_line("trying again")
    with judged(lambda number, messages, context: dismiss(messages), port=judge.port):
        assert client.wait() == 0
    assert any("answers now" in line for line in client.lines)


def test_broken_in_a_message(start):
    """The connection ends within a message of some megabytes: nothing of it is taken."""
    tensor = bytes(8 << 20)
    parameters = serde.parameters_to_proto(SimpleNamespace(tensors=[tensor], tensor_type="x"))
    joined = threading.Event()

    def join(number, messages, context):
        if number == 1:
            yield ServerMessage(fit_ins=ServerMessage.FitIns(parameters=parameters)).SerializeToString()
            joined.set()
            list(messages)
        else:
            yield from dismiss(messages)

    with judged(join) as judge:
        relay = Relay(judge.port)
        relay.rate = 20e6  # so slow that the cut comes first
        try:
            client = start(f"127.0.0.1:{relay.port}")
            wait_until(lambda: judge.joined == 1, "the stream", SECONDS)
            relay.cut()
            relay.rate = None
            assert client.wait() == 0, client.lines
            assert judge.joined == 2
        finally:
            relay.close()


def test_silent(start):
    """Something takes the connection and says nothing: a line, and other tries."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = start(f"127.0.0.1:{listener.getsockname()[1]}")
        connections = [listener.accept()]
        client.wait_line("UNAVAILABLE")
        connections.append(listener.accept())
        assert client.process.poll() is None
        for connection, _ in connections:
            connection.close()


class ByHand:
    """A server of this test's own, frame by frame: it resets the first stream in a message."""

    def __init__(self, code):
        self.code = code
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.target = f"127.0.0.1:{self.listener.getsockname()[1]}"
        self.joined = 0
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(SECONDS)

    def run(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                with connection, connection.makefile("rb") as frames:
                    self.serve(connection, frames)

    def serve(self, connection, frames):
        frames.read(len(http2.PREFACE))
        connection.sendall(http2.settings())
        while head := frames.read(9):
            kind, flags, stream = struct.unpack(">BBI", head[3:])
            frames.read(int.from_bytes(head[:3], "big"))
            if kind == http2.Frame.SETTINGS and not flags & http2.ACK:
                connection.sendall(http2.settings(ack=True))
            if kind == http2.Frame.HEADERS:
                self.joined += 1
                connection.sendall(self.answer(stream))
            if kind == http2.Frame.DATA and flags & http2.END_STREAM:
                connection.sendall(self.trailers(stream))

    def answer(self, stream):
        fields = b"\x88" + http2.field("content-type", "application/grpc")
        head = http2.frame(http2.Frame.HEADERS, http2.END_HEADERS, stream, fields)
        if self.joined > 1:
            return head + http2.data(stream, http2.message(reconnect(0)))
        cut = http2.message(fit(npy(bytes(1000))))[:500]
        return head + http2.data(stream, cut) + http2.reset(stream, self.code)

    def trailers(self, stream):
        flags = http2.END_HEADERS | http2.END_STREAM
        return http2.frame(http2.Frame.HEADERS, flags, stream, http2.field("grpc-status", "0"))


@pytest.mark.parametrize("code", [0, 2, 7, 8], ids=["no error", "internal", "refused", "cancel"])
def test_reset_in_a_message(start, code):
    """By a frame of HTTP/2; the connection stays."""
    server = ByHand(code)
    try:
        client = start(server.target)
        assert client.wait() == 0, client.lines
        assert any("trying again" in line for line in client.lines)
        assert server.joined == 2
    finally:
        server.close()
