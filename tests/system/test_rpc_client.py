"""The client of common/rpc at grpcio's server: calls of all four kinds, and peers that misbehave."""

import contextlib
import gzip
import os
import socket
import struct
import threading
from concurrent import futures
from types import SimpleNamespace

import grpc
import pytest
from federation import http2
from federation.credentials import Certificates
from federation.http2 import END_HEADERS, END_STREAM, Frame, data, field, frame, message
from kit.relay import Relay
from rpc_driver import SECONDS, RpcClient

MIB = 1 << 20
OPTIONS = [("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", 256 * MIB)]


class Service:
    """What grpcio answers; each method says in the name of its handler which kind it is."""

    def __init__(self):
        self.calls = []  # (method, metadata, peer)
        self.given = 0  # messages of an endless stream
        self.cancelled = threading.Event()

    def unary_unary_Echo(self, request, context):
        return request

    def unary_unary_Headers(self, request, context):
        context.send_initial_metadata([("x-first", "one"), ("x-bytes-bin", b"\x00\xff")])
        context.set_trailing_metadata([("x-last", "two"), ("x-last", "three")])
        return request

    def unary_unary_Fail(self, request, context):
        context.send_initial_metadata([("x-first", "one")])
        context.set_trailing_metadata([("x-why", "because")])
        context.abort(grpc.StatusCode.ABORTED, "not \u00e4 now")

    def unary_unary_Away(self, request, context):
        context.abort(grpc.StatusCode.UNAVAILABLE, "not at home")

    def stream_stream_Away(self, requests, context):
        self.unary_unary_Away(b"", context)
        yield b""

    def unary_unary_Inflate(self, request, context):
        context.set_compression(grpc.Compression.Gzip)
        return bytes(MIB)

    def unary_unary_Wait(self, request, context):
        return self.until_cancelled(context)

    def stream_unary_Sum(self, requests, context):
        sizes = [len(request) for request in requests]
        context.set_trailing_metadata([("x-count", str(len(sizes)))])
        return str(sum(sizes)).encode()

    def stream_unary_First(self, requests, context):
        return next(requests)

    def unary_stream_Count(self, request, context):
        context.send_initial_metadata([("x-first", "one")])
        context.set_trailing_metadata([("x-last", "two")])
        for number in range(int(request)):
            yield str(number).encode()

    def unary_stream_Flood(self, request, context):
        context.add_callback(self.cancelled.set)
        while not self.cancelled.is_set():
            yield bytes(int(request))
            self.given += 1

    def unary_stream_FailAfter(self, request, context):
        yield b"one"
        context.abort(grpc.StatusCode.DATA_LOSS, "lost")

    def stream_stream_Echo(self, requests, context):
        yield from requests

    def stream_stream_Wait(self, requests, context):
        self.until_cancelled(context)
        yield b""

    def stream_stream_Deaf(self, requests, context):
        """Takes nothing, so that the caller's messages fill the window."""
        context.send_initial_metadata([])
        self.until_cancelled(context)
        yield b""

    def stream_stream_Leave(self, requests, context):
        yield next(requests)
        context.set_details("enough")

    def until_cancelled(self, context):
        if not context.add_callback(self.cancelled.set):
            self.cancelled.set()
        assert self.cancelled.wait(SECONDS)
        return b""

    def service(self, details):
        self.calls.append((details.method, dict(details.invocation_metadata)))
        name = details.method.rpartition("/")[2]
        for kind in ("unary_unary", "unary_stream", "stream_unary", "stream_stream"):
            function = getattr(self, f"{kind}_{name}", None)
            # Both kinds of Echo and of Wait have one name each: the caller says which.
            wanted = dict(details.invocation_metadata).get("x-kind")
            if function and wanted in (None, kind):
                return getattr(grpc, f"{kind}_rpc_method_handler")(function)
        return None


@contextlib.contextmanager
def serving(credentials=None, port=0, compression=None):
    service = Service()
    handler = SimpleNamespace(service=service.service)
    server = grpc.server(futures.ThreadPoolExecutor(8), options=OPTIONS, compression=compression)
    server.add_generic_rpc_handlers((handler,))
    address = f"127.0.0.1:{port}"
    add = server.add_insecure_port
    port = server.add_secure_port(address, credentials) if credentials else add(address)
    server.start()
    service.server, service.port, service.target = server, port, f"127.0.0.1:{port}"
    try:
        yield service
    finally:
        service.cancelled.set()
        server.stop(0).wait()


@pytest.fixture
def service():
    with serving() as service:
        yield service


@pytest.fixture
def client(service):
    with RpcClient(service.target) as client:
        yield client


BIDI = "header=x-kind:stream_stream"


# ---- four kinds of calls ----


def test_unary(client):
    assert client.unary("Echo", "text=hello")["body"] == b"hello"
    assert client.unary("Echo", "size=20000000")["size"] == 20000000
    empty = client.unary("Echo")
    assert (empty["status"], empty["size"]) == (0, 0)


def test_headers_both_ways(service, client):
    result = client.unary("Headers", "text=x", "header=x-own:mine")
    assert service.calls[0][1]["x-own"] == "mine"
    assert result.header("x-first") == b"one"
    assert result.header("x-bytes-bin") == b"\x00\xff"
    assert result.header("x-last") in (b"two", b"three")
    failed = client.unary("Fail")
    assert (failed["status"], failed["details"]) == (10, "not \u00e4 now")
    assert failed.header("x-first") == b"one"
    assert failed.header("x-why") == b"because"
    assert client.unary("Nothing")["status"] == 12


def test_client_streaming(client):
    client.start("Sum")
    for number in range(10):
        client.do(f"send size={number * 1000}" + (" last" if number == 9 else ""))
        client.until("sent", "opened")
    client.do("send text=more")
    assert "EPIPE" in client.until("refused", "opened")[1]
    client.do("read")
    before, got = client.until("received", "opened")
    assert got["body"] == b"45000"
    end = client.next("ended")
    assert (end["status"], end.header("x-count")) == (0, b"10")


def test_client_streaming_nothing(client):
    client.start("Sum")
    client.do("close")
    client.do("close")
    client.do("read")
    assert client.until("received", "opened")[1]["body"] == b"0"
    assert client.next("ended")["status"] == 0


def test_server_streaming(client):
    client.start("Count", "drain")
    client.do("send text=1000 last")
    before, end = client.until("ended", "sent", "opened", "received")
    bodies = [line["body"] for line in before if line.name == "received"]
    assert bodies == [str(number).encode() for number in range(1000)]
    (opened,) = [line for line in before if line.name == "opened"]
    assert opened.header("x-first") == b"one"
    assert (end["status"], end.header("x-last")) == (0, b"two")
    assert end["peer"].startswith("ipv4:127.0.0.1:")


def test_server_streaming_of_nothing(client):
    client.start("Count", "drain")
    client.do("send text=0 last")
    before, end = client.until("ended", "sent", "opened")
    assert end["status"] == 0


def test_error_after_a_message(client):
    client.start("FailAfter", "drain")
    client.do("send last")
    before, end = client.until("ended", "sent", "opened", "received")
    assert [line["body"] for line in before if line.name == "received"] == [b"one"]
    assert (end["status"], end["details"]) == (15, "lost")


def test_ping_pong(client):
    """Each message is answered before the next one is sent."""
    client.start("Echo", BIDI)
    for number in range(50):
        client.do("read")
        client.do(f"send text=message-{number}")
        lines = [client.next("sent", "received", "opened") for _ in range(3 if number == 0 else 2)]
        (got,) = [line for line in lines if line.name == "received"]
        assert got["body"] == f"message-{number}".encode()
    client.do("close")
    client.do("read")
    assert client.next("ended")["status"] == 0


def test_one_message_at_a_time(client):
    client.start("Echo", BIDI)
    client.do("send size=30000000")
    client.do("send text=second")
    assert "EBUSY" in client.until("refused", "opened", "sent")[1]
    client.do("cancel")
    client.until("ended", "opened", "sent")


def test_server_leaves_early(client):
    """The status comes while this side has not half-closed."""
    client.start("Leave")
    client.do("send text=once")
    client.do("read")
    assert client.until("received", "sent", "opened")[1]["body"] == b"once"
    client.do("read")
    end = client.until("ended", "sent")[1]
    assert (end["status"], end["details"]) == (0, "enough")
    client.start("Echo", BIDI, "drain")  # the connection is as good as before
    client.do("send text=again last")
    before, end = client.until("ended", "sent", "opened", "received")
    assert end["status"] == 0


# ---- ends: deadlines, cancelling in each state ----


def test_deadline(client):
    assert client.unary("Wait", "timeout=200", "header=x-kind:unary_unary")["status"] == 4
    client.start("Wait", "timeout=200", BIDI)
    assert client.until("ended", "opened")[1]["status"] == 4


@pytest.mark.parametrize("state", ["started", "opened", "sent", "received", "sending", "reading"])
def test_cancel(service, client, state):
    if state == "sending":  # more than the window, to a server that does not read
        client.start("Deaf")
        client.do("send size=60000000")
        client.next("opened")
    elif state == "reading":
        client.start("Deaf")
        client.do("read")
        client.next("opened")
    else:
        client.start("Echo", BIDI, f"cancel-in={state}", "drain")
        if state != "started":
            client.do("send text=x")
    if state in ("started", "sending", "reading"):
        client.do("cancel")
    before, end = client.until("ended", "opened", "sent", "received")
    assert end["status"] == 1
    if state in ("opened", "sent", "received"):
        assert before[-1].name == state
    if state in ("sending", "reading"):
        assert service.cancelled.wait(SECONDS)


def test_cancel_unary(service, client):
    client.do("unary path=/test.Service/Wait header=x-kind:unary_unary")
    client.do("cancel-call")
    assert client.next("result")["status"] == 1


def test_cancel_after_half_close(service, client):
    client.start("Deaf")
    client.do("send text=x last")
    assert {client.next("sent", "opened").name for _ in range(2)} == {"sent", "opened"}
    client.do("cancel")
    assert client.next("ended")["status"] == 1
    assert service.cancelled.wait(SECONDS)


def unused_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@pytest.mark.parametrize("end", ["cancelled", "expired"])
def test_end_while_waiting_for_ready(end):
    words = ["wait", f"timeout={30000 if end == 'cancelled' else 300}"]
    with RpcClient(f"127.0.0.1:{unused_port()}") as client:
        client.do(" ".join(["unary path=/test.Service/Echo", *words]))
        client.start("Echo", "drain", *words)
        client.do("send text=x last")
        if end == "cancelled":
            client.do("cancel-call")
            client.do("cancel")
        lines = [client.next("result", "ended") for _ in range(2)]
        assert {line.name for line in lines} == {"result", "ended"}
        assert {line["status"] for line in lines} == {1 if end == "cancelled" else 4}


def test_stream_waits_for_ready():
    port = unused_port()
    with RpcClient(f"127.0.0.1:{port}") as client:
        client.start("Echo", BIDI, "drain")  # one that does not wait
        assert client.next("ended")["status"] == 14
        client.start("Echo", BIDI, "drain", "wait", "timeout=30000")
        client.do("send text=patient last")
        with serving(port=port):
            before, end = client.until("ended", "opened", "sent", "received")
        assert [line["body"] for line in before if line.name == "received"] == [b"patient"]
        assert end["status"] == 0


def test_nothing_is_tried_again(service, client):
    """A call that fails as unavailable comes to the server once."""
    result = client.unary("Away", "text=x", "header=x-kind:unary_unary")
    assert (result["status"], result["details"]) == (14, "not at home")
    client.start("Away", BIDI, "drain")
    client.do("send text=x last")
    end = client.until("ended", "opened", "sent")[1]
    assert end["status"] == 14
    assert client.unary("Echo", "text=after")["body"] == b"after"
    assert [method.rpartition("/")[2] for method, _ in service.calls] == ["Away", "Away", "Echo"]


def test_channel_is_freed_with_calls_out(client):
    client.start("Deaf")
    client.do("unary path=/test.Service/Wait header=x-kind:unary_unary")
    client.do("free")
    ends = {client.until("ended", "opened", "result")[1]["status"]}
    assert ends == {1}


# ---- the channel ----


def test_readiness():
    """Told as the server comes, goes and comes back."""
    with serving() as first:
        port = first.port
    with RpcClient(f"127.0.0.1:{port}") as client:
        client.do("watch")
        assert client.tell()["ready"] == 0
        assert client.unary("Echo")["status"] == 14
        client.do("unary path=/test.Service/Echo wait timeout=30000 text=patient")
        with serving(port=port):
            lines = [client.next("result", "ready") for _ in range(2)]
            by_name = {line.name: line for line in lines}
            assert "1" in by_name["ready"]
            assert by_name["result"]["body"] == b"patient"
            assert client.tell()["ready"] == 1
        assert "0" in client.next("ready")
        with serving(port=port):
            assert "1" in client.next("ready")
            for _ in range(2):  # each new watcher is told
                client.do("watch off")
                client.do("watch")
                assert "1" in client.next("ready")
            client.do("watch off")
        client.tell()


def test_options_and_user_agent(service):
    words = ["agent=device/7", "second-agent=more", "option-max=1000", "token=secret"]
    with RpcClient(service.target, *words) as client:
        assert client.unary("Echo", "size=1000")["status"] == 0
        assert client.unary("Echo", "size=1001")["status"] == 8
    sent = service.calls[0][1]
    assert sent["user-agent"].startswith("device/7 ") and sent["user-agent"].endswith(" more")
    assert sent["x-token"] == "secret"


def test_answer_limit(client):
    assert client.unary("Echo", "size=1000", "answer-max=1000")["status"] == 0
    refused = client.unary("Echo", "size=1001", "answer-max=1000")
    assert (refused["status"], refused["details"]) == (8, "the answer is too large")


def test_interceptors(service):
    with RpcClient(service.target, "token=t1", "log") as client:
        client.unary("Echo", "size=10")
        client.unary("Fail")
        client.start("Echo", BIDI, "drain")
        client.do("send size=100 last")
        client.until("ended", "opened", "sent", "received")
        told = client.tell()
    assert [headers["x-token"] for _, headers in service.calls] == ["t1"] * 3
    assert told == {
        "ready": 1,
        "started": 3,
        "ok": 2,
        "failed": 1,
        "sent": 3,
        "sent_bytes": 110,
        "received": 2,
        "received_bytes": 110,
    }
    calls = [line for line in client.log if "call /test.Service/" in line]
    assert ["DEBUG" in line for line in calls] == [True, False, True]
    assert "Fail: ABORTED" in calls[1] and r'details="not \xc3\xa4 now"' in calls[1]


def test_keepalive(service):
    """A connection on which nothing comes back any more ends its calls."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        target = f"127.0.0.1:{listener.getsockname()[1]}"
        words = ["keepalive=100", "keepalive-timeout=300"]
        with RpcClient(target, *words) as client:
            client.do("unary path=/test.Service/Echo")
            end, _ = listener.accept()
            with end:
                end.sendall(http2.settings())
                result = client.next("result")
                assert result["status"] == 14


# ---- compression: what passes is counted ----


@pytest.fixture
def counted(service):
    relay = Relay(service.port)
    yield relay
    relay.close()


def sent_bytes(relay, *options, words=()):
    """Bytes that one call with a megabyte of zeros takes."""
    before = sum(pair["sent"] for pair in relay.pairs)
    with RpcClient(f"127.0.0.1:{relay.port}", *options) as client:
        assert client.unary("Sum", "size=1048576", *words)["body"] == b"1048576"
        return sum(pair["sent"] for pair in relay.pairs) - before


@pytest.mark.parametrize(
    ["options", "words", "small"],
    [
        ([], [], False),
        (["compress=gzip"], [], True),
        (["compress=deflate"], [], True),
        (["compress=gzip"], ["compress=none"], False),
        ([], ["compress=gzip"], True),
    ],
)
def test_compressed_requests(counted, options, words, small):
    number = sent_bytes(counted, *options, words=words)
    assert number < 20000 if small else number > MIB


def test_one_message_is_not_compressed(counted):
    with RpcClient(f"127.0.0.1:{counted.port}", "compress=gzip") as client:
        client.start("Sum")
        client.do("send size=1048576")
        client.until("sent", "opened")
        client.do("send size=1048576 plain last")
        client.do("read")
        client.until("received", "sent", "opened")
        assert MIB < sum(pair["sent"] for pair in counted.pairs) < MIB + 20000
        client.next("ended")


def test_compressed_answers(service):
    """Taken when the channel accepts them; else grpcio is told that they are not, or refused."""
    with RpcClient(service.target, "accept") as client:
        assert client.unary("Inflate")["size"] == MIB
    with RpcClient(service.target) as client:
        result = client.unary("Inflate")
        assert (result["status"], result["size"]) == (12, 0)


# ---- TLS ----


@pytest.fixture(scope="module")
def pem(tmp_path_factory):
    return Certificates(tmp_path_factory.mktemp("pem"))


def server_credentials(pem, mutual=False):
    pair = (pem.key.read_bytes(), pem.certificate.read_bytes())
    authority = pem.authority.read_bytes() if mutual else None
    return grpc.ssl_server_credentials([pair], authority, mutual)


def test_tls(pem, tmp_path):
    other = Certificates(tmp_path / "other")
    with serving(server_credentials(pem)) as service:
        with RpcClient(service.target, f"trusted={pem.authority}") as client:
            assert client.unary("Echo", "text=x")["body"] == b"x"
        with RpcClient(service.target, f"trusted={other.authority}") as client:
            assert client.unary("Echo")["status"] == 14
        with RpcClient(service.target) as client:
            assert client.unary("Echo")["status"] == 14
        with RpcClient(service.target, f"trusted={pem.authority}", "name=elsewhere") as client:
            assert client.unary("Echo")["status"] == 14
        with RpcClient(service.target, f"trusted={pem.authority}", "name=localhost") as client:
            assert client.unary("Echo")["status"] == 0


def test_mutual_tls(pem):
    own = [f"chain={pem.certificate}", f"key={pem.key}"]
    with serving(server_credentials(pem, mutual=True)) as service:
        with RpcClient(service.target, f"trusted={pem.authority}", *own) as client:
            assert client.unary("Echo", "text=x")["body"] == b"x"
            client.start("Echo", BIDI, "drain")
            client.do("send text=y last")
            assert client.until("ended", "opened", "sent", "received")[1]["status"] == 0
        with RpcClient(service.target, f"trusted={pem.authority}") as client:
            assert client.unary("Echo")["status"] == 14


# ---- misuse ----


def test_flood_to_a_reader_that_does_not_read(service):
    """The window of HTTP/2 holds the peer back."""
    with RpcClient(service.target) as client:
        client.start("Flood")
        client.do("send text=100000 last")
        client.until("opened", "sent")
        client.do("read")
        client.until("received", "sent")
        for _ in range(500):  # as long as these take it could have sent on
            assert client.unary("Echo")["status"] == 0
        assert service.given * 100000 < 32 * MIB
        client.do("read")
        client.next("received")
        client.do("cancel")
        assert client.next("ended")["status"] == 1
        if os.environ.get("FLWR_SANITIZE") != "1":
            assert client.memory() < 96 * MIB
    assert service.cancelled.wait(SECONDS)


OK_HEAD = b"\x88" + field("content-type", "application/grpc")  # :status 200
OK_END = field("grpc-status", "0")


class Peer:
    """A server by hand: what it says once a call is there; then it waits for the client to go."""

    def __init__(self, *says, end="wait"):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.target = f"127.0.0.1:{self.listener.getsockname()[1]}"
        self.says, self.end = says, end
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        with self.listener, self.listener.accept()[0] as guest:
            guest.sendall(http2.settings())
            got = b""
            while b"/test.Service/" not in got and (piece := guest.recv(65536)):
                got += piece
            try:
                guest.sendall(http2.settings(ack=True) + b"".join(self.says))
                if self.end == "reset":
                    guest.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                elif self.end == "wait":
                    while guest.recv(65536):
                        pass
                elif self.end == "flood":
                    while True:
                        guest.sendall(b"".join(self.says[-1:]))
            except OSError:
                pass


def head(more=b""):
    return frame(Frame.HEADERS, END_HEADERS, 1, OK_HEAD + more)


def trailers(block=OK_END):
    return frame(Frame.HEADERS, END_HEADERS | END_STREAM, 1, block)


ZIP = field("grpc-encoding", "zip")
GZIP = field("grpc-encoding", "gzip")
PACKED = struct.pack(">BI", 1, 20) + gzip.compress(b"")
BOMB = gzip.compress(bytes(100 * MIB))
BOMB = struct.pack(">BI", 1, len(BOMB)) + BOMB
MANY = b"".join(field(f"x-{number}", "v") for number in range(200))
CASES = {
    # name: (what the peer does, statuses that a unary call may end with, and a stream)
    "silent": ([], "wait", {4}, {4}),
    "headers, then silent": ([head()], "wait", {4}, {4}),
    "broken in a message": ([head(), data(1, message(b"x" * 10, 20))], "close", {14}, {14}),
    "reset in a message": ([head(), data(1, message(b"x" * 10, 20))], "reset", {14}, {14}),
    "half-closed in a message": (
        [head(), data(1, message(b"x" * 10, 20)), trailers()],
        "wait",
        {0, 2, 13, 14},
        {0, 2, 13, 14},
    ),
    "half-closed without a status": ([head(), data(1, b"", END_STREAM)], "wait", {2, 13}, {2, 13}),
    "stream reset": ([head(), http2.reset(1)], "wait", {1}, {1}),
    "refused": ([http2.reset(1, 7)], "wait", {14}, {14}),
    "two messages": (
        [head(), data(1, message(b"one") + message(b"two")), trailers()],
        "wait",
        {13},
        {0},
    ),
    "ten messages, and no end": ([head(), data(1, 10 * message(b"one"))], "wait", {13}, {4}),
    "no message": ([head(), trailers()], "wait", {12, 13}, {0}),
    "nothing but a status": ([trailers(OK_HEAD + OK_END)], "wait", {12, 13}, {0}),
    "no gRPC": ([frame(Frame.HEADERS, END_HEADERS | END_STREAM, 1, b"\x8d")], "wait", {12}, {12}),
    "a huge message": ([head(), data(1, message(b"x", 0xFFFFFFFF))], "wait", {4, 8}, {4, 8}),
    "a bomb": ([head(GZIP), data(1, BOMB), trailers()], "wait", {12}, {12}),
    "not accepted": ([head(GZIP), data(1, PACKED), trailers()], "wait", {12, 13}, {12, 13}),
    # gRPC gives such bytes as they are.
    "an unknown compression": ([head(ZIP), data(1, PACKED), trailers()], "wait", {0}, {0}),
    "compressed, not saying how": ([head(), data(1, PACKED), trailers()], "wait", {0}, {0}),
    "many headers": ([head(MANY)], "wait", {4, 13, 8}, {13, 8}),
    "no HTTP/2": ([b"HTTP/1.1 400 Bad Request\r\n\r\n"], "close", {2, 14}, {2, 14}),
    "a status of its own": (
        [trailers(OK_HEAD + field("grpc-status", "99") + field("grpc-message", "%zz%00"))],
        "wait",
        {2},
        {2},
    ),
}


@pytest.mark.parametrize("kind", ["unary", "stream"])
@pytest.mark.parametrize("case", CASES)
def test_misuse(case, kind):
    """A clear outcome, and the program goes on."""
    says, end, unary, stream = CASES[case]
    peer = Peer(*says, end=end)
    with RpcClient(peer.target) as client:
        if kind == "unary":
            # Without a timeout unless only that ends the call.
            timeout = ["timeout=2000"] if 4 in unary else []
            assert client.unary("Any", "text=x", *timeout)["status"] in unary
        else:
            client.start("Any", "timeout=2000", "drain")
            client.do("send text=x")
            before, last = client.until("ended", "opened", "sent", "received")
            assert last["status"] in stream
        client.tell()
        if os.environ.get("FLWR_SANITIZE") != "1":
            assert client.memory() < 64 * MIB


def test_flood_of_headers_and_pings():
    """Frames that carry nothing for the call: it ends by its deadline, the memory stays."""
    peer = Peer(frame(Frame.PING, payload=b"12345678"), end="flood")
    with RpcClient(peer.target) as client:
        assert client.unary("Any", "timeout=2000")["status"] in (4, 14)
        if os.environ.get("FLWR_SANITIZE") != "1":
            assert client.memory() < 96 * MIB
