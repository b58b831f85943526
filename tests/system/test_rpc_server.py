"""The server of common/rpc, and grpcio's client as the other end: what grpcio's documentation of a
server lists, and callers that misbehave."""

import re
import threading

import grpc
import pytest
from federation.http2 import END_STREAM, Connection, Frame, data, frame, headers, message, reset
from rpc_peer import fails, path, serve, server, unary  # noqa: F401

NONE, DEFLATE, GZIP = range(3)
MIB = 1 << 20


# ---- the four kinds ----


@pytest.mark.parametrize("size", [0, 1, 8 * MIB])
def test_unary(server, size):
    body = bytes(range(256)) * (size // 256) or bytes(size)
    assert unary(server.channel(), "Echo", body) == body


@pytest.mark.parametrize("bodies", [[], [b""], [b"a", b"", b"bc"], [bytes(MIB)] * 20])
def test_request_stream(server, bodies):
    answer = server.channel().stream_unary(path("Sum"))(iter(bodies), timeout=30)
    assert answer == f"{len(bodies)} {sum(map(len, bodies))}".encode()


@pytest.mark.parametrize(("number", "size"), [(1, 0), (3, 10), (20, MIB)])
def test_answer_stream(server, number, size):
    call = server.channel().unary_stream(path("Repeat"))(b"%d %d" % (number, size), timeout=30)
    assert [len(each) for each in call] == [size] * number
    assert call.code() == grpc.StatusCode.OK


def test_both_stream(server):
    """Each message is answered before the next one is sent; the end has a status of its own."""
    ready = threading.Semaphore(1)

    def bodies():
        for number in range(100):
            ready.acquire()
            yield b"%d" % number

    call = server.channel().stream_stream(path("Chat"))(bodies(), timeout=30)
    for number in range(100):
        assert next(call) == b"%d" % number
        ready.release()
    fails(lambda: next(call), grpc.StatusCode.NOT_FOUND, "no more")


def test_answer_before_the_end(server):
    """The answer comes while the caller is still sending, with OK."""
    go_on = threading.Event()

    def bodies():
        yield b"first"
        go_on.wait(30)

    channel = server.channel()
    call = channel.stream_stream(path("Early"))(bodies(), timeout=30)
    assert list(call) == [b"first"]
    assert call.code() == grpc.StatusCode.OK
    assert channel.stream_unary(path("Deaf"))(bodies(), timeout=30) == b"not interested"
    go_on.set()


def test_other_kind_than_called(server):
    """What gRPC's own servers say, or what cannot be seen at all: one message is a stream, too."""
    channel = server.channel()
    many = iter([b"a", b"b"])
    assert channel.unary_unary(path("Sum"))(b"abc", timeout=30) == b"1 3"
    assert list(channel.unary_stream(path("Echo"))(b"abc", timeout=30)) == [b"abc"]
    assert channel.stream_unary(path("Echo"))(many, timeout=30) == b"a"
    none = channel.stream_unary(path("Echo"))
    fails(lambda: none(iter([]), timeout=30), grpc.StatusCode.INVALID_ARGUMENT)
    several = channel.unary_unary(path("Repeat"))  # grpcio waits for its end in vain
    fails(lambda: several(b"2 1", timeout=1), grpc.StatusCode.DEADLINE_EXCEEDED)
    server.stop()


# ---- flow control ----


def offered(sent):
    """64 bodies of 1 MiB; sent gets the number of each when it is taken."""
    for number in range(64):
        sent.append(number)
        yield bytes(MIB)


def test_slow_handler_holds_back_its_caller(server):
    """64 MiB are offered; a handler that does not read gets a window of them."""
    sent = []
    before = server.memory()
    call = server.channel().stream_unary(path("Slow")).future(offered(sent), timeout=60)
    server.expect("^slow begun$")
    for _ in range(3):
        server.tell("read")
        server.expect(f"^got {MIB}$")
    assert len(sent) < 32
    assert server.held(before) < 16 * MIB
    for _ in range(61):
        server.tell("read")
        server.expect(f"^got {MIB}$")
    server.tell("read")
    server.expect("^end$")
    assert call.result() == b"slow"


def test_caller_that_never_reads(server):
    """An endless answer stops at the window of a caller that does not read."""
    before = server.memory()
    with Connection(f"127.0.0.1:{server.ports[0]}", receive_buffer=4096) as caller:
        caller.send(headers(1, path("Flood")) + data(1, message(b""), END_STREAM))
        caller.wait(lambda: caller.count(Frame.DATA) > 0, "data")
        for _ in range(5):
            assert unary(server.channel(), "Echo", b"meanwhile") == b"meanwhile"
        assert server.held(before) < 16 * MIB
        caller.send(reset(1))
        assert int(server.expect(r"^gone after (\d+)$").group(1)) < 64


def test_caller_that_goes_while_a_message_is_stuck(server):
    """Its handler waits for nothing but that message to leave, and hears of the end."""
    with Connection(f"127.0.0.1:{server.ports[0]}") as caller:
        caller.send(headers(1, path("Compress")) + data(1, message(b""), END_STREAM))
        caller.wait(lambda: caller.count(Frame.DATA) > 0, "data")
        caller.send(reset(1))
        server.expect("^gone after 0$")
    server.tell("metrics")
    server.expect("^metrics Compress CANCELLED 1$")
    server.expect("^at work 0$")
    server.stop(60000)


def test_caller_that_sends_and_never_reads(server):
    """Chat's answers are not read: so Chat does not read either."""
    sent = []
    before = server.memory()
    options = [("grpc.http2.bdp_probe", 0)]
    call = server.channel(options=options).stream_stream(path("Chat"))(offered(sent), timeout=60)
    for _ in range(20):
        assert unary(server.channel(), "Echo", b"meanwhile") == b"meanwhile"
    assert server.held(before) < 16 * MIB
    assert len(sent) < 32
    call.cancel()
    server.expect("^gone after [0-9]$")


def test_caller_that_sends_more_than_its_window(server):
    """HTTP/2's rules are broken: the call is, too, and nothing of it is kept."""
    with Connection(f"127.0.0.1:{server.ports[0]}") as caller:
        caller.send(headers(1, path("Slow")))
        server.expect("^slow begun$")
        before = server.memory()
        for _ in range(20):
            caller.send(data(1, message(bytes(MIB))))
        caller.wait(lambda: caller.count(Frame.RST_STREAM), "a reset")
        assert server.held(before) < 16 * MIB


# ---- callers that break off ----


def test_reset_in_the_middle_of_a_message(server):
    """No part of a message is one, and a caller that goes is no end of its messages."""
    with Connection(f"127.0.0.1:{server.ports[0]}") as caller:
        for number in range(20):
            stream = 2 * number + 1
            caller.send(headers(stream, path("Sum")) + data(stream, message(b"whole")))
            caller.send(data(stream, message(b"half", length=100)) + reset(stream))
            server.expect("^gone after [01]$")
    server.tell("metrics")
    server.expect("^metrics Sum CANCELLED 20$")
    server.expect("^at work 0$")


def test_reset_between_messages(server):
    with Connection(f"127.0.0.1:{server.ports[0]}") as caller:
        for number in range(20):
            stream = 2 * number + 1
            caller.send(headers(stream, path("Sum")) + data(stream, message(b"whole")))
            caller.send(reset(stream))
            server.expect("^gone after [01]$")
    server.tell("metrics")
    server.expect("^metrics Sum CANCELLED 20$")


def test_half_closed_in_the_middle_of_a_message(server):
    """gRPC says nothing of the part; as with grpcio's server the messages before it are all."""
    with Connection(f"127.0.0.1:{server.ports[0]}") as caller:
        caller.send(headers(1, path("Sum")) + data(1, message(b"whole")))
        caller.send(data(1, message(b"half", length=100), END_STREAM))
        assert caller.wait_status(1) == (0, "")
        assert message(b"1 5") in [each[3] for each in caller.frames]


def test_connection_that_ends_in_a_stream(server):
    with Connection(f"127.0.0.1:{server.ports[0]}") as caller:
        caller.send(headers(1, path("Sum")) + data(1, message(b"whole")))
        caller.send(headers(3, path("Slow")))
        server.expect("^slow begun$")
    server.expect("^(slow gone|gone after 1)$")
    server.expect("^(slow gone|gone after 1)$")


def test_cancelled_by_the_caller(server):
    call = server.channel().unary_unary(path("Wait")).future(b"", timeout=60)
    server.expect("^waiting$")
    call.cancel()
    server.expect("^cancelled$")


def test_several_watch_a_call(serve):
    """Interceptors and the handler, each on its own, hear that the caller has gone."""
    server = serve("port=127.0.0.1:0", "watch=1")
    call = server.channel().unary_unary(path("Wait")).future(b"", timeout=60)
    server.expect("^waiting$")
    call.cancel()
    for line in ("watcher 1 told, active 0", "watcher 0 told, active 0", "cancelled"):
        server.expect(f"^{line}$")
    server.expect('^over, active 0 status OK details "" trailers 0$')
    assert unary(server.channel(), "Echo", b"x") == b"x"
    server.expect('^over, active 1 status OK details "" trailers 0$')
    error = fails(
        lambda: unary(server.channel(), "Status", b"abort 9 why not"),
        grpc.StatusCode.FAILED_PRECONDITION,
        "why not",
    )
    assert error.trailing_metadata()
    server.expect('^over, active 1 status FAILED_PRECONDITION details "why not" trailers 1$')


def test_message_larger_than_its_method_takes(server):
    sum_small = server.channel().stream_unary(path("SumSmall"))
    assert sum_small(iter([bytes(10)] * 5), timeout=30) == b"5 50"
    error = fails(
        lambda: sum_small(iter([bytes(10), bytes(11), bytes(10)]), timeout=30),
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "message of 11 bytes, at most 10 are taken",
    )
    server.expect("^refused SumSmall RESOURCE_EXHAUSTED: message of 11 bytes")
    server.expect("^gone after 1$")
    # Interceptors hear the true cause.
    server.expect("/SumSmall: RESOURCE_EXHAUSTED: message of 11 bytes, at most 10 are taken after ")
    server.tell("metrics")
    server.expect("^metrics SumSmall OK 1$")
    server.expect("^metrics SumSmall RESOURCE_EXHAUSTED 1$")
    assert error


# ---- handlers, interceptors, limits ----


def test_generic_handler(server):
    channel = server.channel()
    for name in ("/any.Thing/Method", "/any./x/y"):
        assert channel.unary_unary(name)(b"", timeout=30) == name.encode()
    other = channel.unary_unary("/other.Thing/Method")
    fails(lambda: other(b"", timeout=30), grpc.StatusCode.UNIMPLEMENTED, "no such method")
    fails(lambda: unary(channel, "Nothing"), grpc.StatusCode.UNIMPLEMENTED)


def test_interceptors(serve):
    """A token is checked; each call has its line and its number, refused ones too."""
    server = serve("port=127.0.0.1:0", "token=secret")
    channel = server.channel()
    good = [("x-token", "secret")]
    assert unary(channel, "Echo", b"hello", metadata=good) == b"hello"
    server.expect(r"^INFO +ipv4:127\.0\.0\.1:\d+: /test\.Rpc/Echo: OK after \d+ ms$")
    for metadata in ([], [("x-token", "")], [("x-token", "secre")], [("x-token", "secret!")]):
        fails(
            lambda: unary(channel, "Echo", b"hello", metadata=metadata),
            grpc.StatusCode.UNAUTHENTICATED,
            "the token is missing or wrong",
        )
        server.expect(r": /test\.Rpc/Echo: UNAUTHENTICATED: the token is missing or wrong after ")
    # As with grpcio's server what is unknown passes them, too.
    unknown = channel.unary_unary("/no.Such/Method")
    fails(lambda: unknown(b"", timeout=30), grpc.StatusCode.UNAUTHENTICATED)
    server.expect(r": /no\.Such/Method: UNAUTHENTICATED: the token is missing or wrong after ")
    fails(
        lambda: unknown(b"", timeout=30, metadata=good),
        grpc.StatusCode.UNIMPLEMENTED,
        "no such method",
    )
    server.expect(r": /no\.Such/Method: UNIMPLEMENTED: no such method after ")
    fails(
        lambda: channel.stream_unary(path("Sum"))(iter([b""]), timeout=30),
        grpc.StatusCode.UNAUTHENTICATED,
    )
    assert unary(channel, "Echo", b"hello", metadata=good) == b"hello"
    server.tell("metrics")
    server.expect("^metrics Echo OK 2$")
    server.expect("^metrics Echo UNAUTHENTICATED 4$")
    server.expect("^metrics unknown UNAUTHENTICATED 1$")
    server.expect("^metrics unknown UNIMPLEMENTED 1$")
    server.expect("^metrics Sum UNAUTHENTICATED 1$")
    server.expect("^at work 0$")


def test_refused_before_a_handler(server):
    """The owner of the server hears of calls that no service gets."""
    fails(lambda: unary(server.channel(), "None"), grpc.StatusCode.UNIMPLEMENTED, "no such method")
    server.expect("^refused a call UNIMPLEMENTED: no such method$")


def test_limit_of_calls(serve):
    server = serve("port=127.0.0.1:0", "calls_max=1")
    channel = server.channel()
    kept = channel.unary_unary(path("Wait")).future(b"", timeout=60)
    server.expect("^waiting$")
    fails(
        lambda: unary(channel, "Echo"),
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "too many calls at once",
    )
    server.expect(r": /test\.Rpc/Echo refused: RESOURCE_EXHAUSTED: too many calls at once$")
    server.expect("^refused a call RESOURCE_EXHAUSTED: too many calls at once$")
    server.tell("metrics")
    server.expect("^metrics unknown RESOURCE_EXHAUSTED 1$")
    server.tell("finish")
    assert kept.result() == b"finished"
    assert unary(channel, "Echo", b"again") == b"again"


def test_limit_of_calls_on_a_connection(serve):
    """grpcio's calls wait for one another; a caller that does not keep to the limit is refused."""
    server = serve("port=127.0.0.1:0", "connection_calls_max=1")
    with Connection(f"127.0.0.1:{server.ports[0]}") as caller:
        caller.send(headers(1, path("Slow")))
        server.expect("^slow begun$")
        caller.send(headers(3, path("Slow")))
        status = caller.wait_status(3)
        assert status == (8, "too many calls at once on this connection")
        assert unary(server.channel(), "Echo", b"another") == b"another"
    channel = server.channel()
    calls = [channel.unary_unary(path("Echo")).future(b"%d" % n, timeout=30) for n in range(20)]
    assert [call.result() for call in calls] == [b"%d" % n for n in range(20)]


def test_option_by_name(serve):
    """An argument of gRPC's that we would set otherwise."""
    server = serve("port=127.0.0.1:0", "arg=grpc.max_receive_message_length:100")
    channel = server.channel()
    assert unary(channel, "Echo", bytes(100)) == bytes(100)
    fails(lambda: unary(channel, "Echo", bytes(101)), grpc.StatusCode.RESOURCE_EXHAUSTED)


# ---- compression ----


def message_flags(server, body, accept="identity,deflate,gzip"):
    """Of the two messages that Compress sends: whether they are said to be compressed, and are
    small; and the algorithm's name."""
    more = (1 << 20).to_bytes(4, "big")
    window = frame(Frame.WINDOW_UPDATE, 0, 0, more) + frame(Frame.WINDOW_UPDATE, 0, 1, more)
    with Connection(f"127.0.0.1:{server.ports[0]}") as caller:
        accepts = {"grpc-accept-encoding": accept} if accept else {}
        call = headers(1, path("Compress"), **accepts) + data(1, message(body), END_STREAM)
        caller.send(call + window)
        caller.wait(lambda: caller.count(Frame.HEADERS) == 2, "the end")
        head = next(each[3] for each in caller.frames if each[0] == Frame.HEADERS)
        received = b"".join(each[3] for each in caller.frames if each[0] == Frame.DATA)
    flags = []
    while received:
        size = int.from_bytes(received[1:5], "big")
        flags.append((received[0], size < 100000))
        received = received[5 + size :]
    encoding = re.search(rb"grpc-encoding.(gzip|deflate)", head, re.DOTALL)
    return flags, [encoding.group(1)] if encoding else []


PACKED, PLAIN = (1, True), (0, False)


@pytest.mark.parametrize(
    ("setting", "call", "name"),
    [(0, b"", []), (GZIP, b"", [b"gzip"]), (DEFLATE, b"", [b"deflate"]), (0, b"2", [b"gzip"]),
     (0, b"1", [b"deflate"]), (GZIP, b"0", []), (GZIP, b"1", [b"deflate"])],
)  # fmt: skip
def test_compression_of_answers(serve, setting, call, name):
    """The server's default, the call's choice; off for the second message. grpcio reads it."""
    server = serve("port=127.0.0.1:0", f"compression={setting}")
    flags, algorithm = message_flags(server, call)
    assert flags == [PACKED if name else PLAIN, PLAIN]
    assert algorithm == name
    read = list(server.channel().unary_stream(path("Compress"))(call, timeout=30))
    assert read == [bytes(100000)] * 2


@pytest.mark.parametrize("accept", [None, "identity", "identity,deflate"])
def test_compression_that_the_caller_does_not_take(serve, accept):
    server = serve("port=127.0.0.1:0", f"compression={GZIP}")
    flags, algorithm = message_flags(server, b"", accept)
    deflate = accept == "identity,deflate"
    assert flags == [PACKED if deflate else PLAIN, PLAIN]
    assert algorithm == ([b"deflate"] if deflate else [])


def test_compressed_requests(serve):
    """Refused, unless the server takes them."""
    strict = serve().channel()
    for algorithm in (grpc.Compression.Gzip, grpc.Compression.Deflate):
        fails(
            lambda: unary(strict, "Echo", bytes(MIB), compression=algorithm),
            grpc.StatusCode.UNIMPLEMENTED,
        )
    only_gzip = serve("port=127.0.0.1:0", f"accept={1 << GZIP}").channel()
    assert unary(only_gzip, "Echo", bytes(MIB), compression=grpc.Compression.Gzip) == bytes(MIB)
    fails(
        lambda: unary(only_gzip, "Echo", bytes(MIB), compression=grpc.Compression.Deflate),
        grpc.StatusCode.UNIMPLEMENTED,
    )
    both = serve("port=127.0.0.1:0", f"accept={1 << GZIP | 1 << DEFLATE}").channel()
    sums = both.stream_unary(path("Sum"))
    assert sums(iter([bytes(MIB)] * 3), compression=grpc.Compression.Deflate) == b"3 %d" % (3 * MIB)


def test_what_a_compressed_request_may_cost(serve):
    """Why programs do not take them: all of a message is unpacked, and then it is
    too large."""
    setting = ["port=127.0.0.1:0", "receive_max=100000", "memory_max=4000000"]
    server = serve(*setting, f"accept={1 << GZIP}")
    channel = server.channel()
    fails(lambda: unary(channel, "Echo", bytes(100001)), grpc.StatusCode.RESOURCE_EXHAUSTED)
    before = server.memory("peak")
    packed = grpc.Compression.Gzip
    fails(
        lambda: unary(channel, "Echo", bytes(60 * MIB), compression=packed),
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        f"Received message larger than max ({60 * MIB} vs. 100000)",
    )
    assert server.memory("peak") - before > 50 * MIB
    assert unary(channel, "Echo", bytes(90000), compression=packed) == bytes(90000)
