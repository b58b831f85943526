"""Judge of the health service, by grpcio-health-checking: watch_health.py SCENARIO ADDRESS.

A line on stdout asks the test for something (serve, fail, stop); it answers with a line on stdin.
"""

import queue
import socket
import struct
import sys
import threading

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SERVICE = "/grpc.health.v1.Health/"
CONNECTIONS = 32  # DOOR_CONNECTIONS_MAX
KEPT = 24  # DOOR_KEPT_MAX
WATCHES = 128  # HEALTH_WATCHES_MAX
ON_ONE = WATCHES // 2  # fewer than HEALTH_CONNECTION_CALLS_MAX

address = sys.argv[2]


def ask(what):
    print(what, flush=True)
    assert sys.stdin.readline() == "ok\n"


def channel():
    """One with a connection of its own."""
    return grpc.insecure_channel(address, [("grpc.use_local_subchannel_pool", 1)])


def stub(its=None):
    return health_pb2_grpc.HealthStub(its or channel())


def request(name=""):
    return health_pb2.HealthCheckRequest(service=name)


def check(its, name=""):
    return its.Check(request(name), timeout=20, wait_for_ready=True).status


def fails(call):
    try:
        call()
    except grpc.RpcError as error:
        return error.code().name
    raise AssertionError("the call should fail")


class Watch:
    """What a watcher is told, in order; its end is the name of the status."""

    def __init__(self, its, name=""):
        self.said = queue.Queue()
        self.call = its.Watch(request(name))
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        try:
            for answer in self.call:
                self.said.put(answer.status)
            self.said.put("OK")
        except grpc.RpcError as error:
            self.said.put(error.code().name)

    def expect(self, what):
        got = self.said.get(timeout=20)
        assert got == what, (got, what)


def frame(type, flags, stream, payload=b""):
    return len(payload).to_bytes(3, "big") + struct.pack(">BBI", type, flags, stream) + payload


def literal(name, value):
    return b"\0" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()


def raw_watch(window, machine="127.0.0.1"):
    """A Watch by hand, on a connection whose peer may send window bytes."""
    host, port = address.rsplit(":", 1)
    its = socket.create_connection((host, int(port)), source_address=(machine, 0))
    head = b"\x83\x86" + literal(":path", SERVICE + "Watch") + literal(":authority", "x")
    head += literal("te", "trailers") + literal("content-type", "application/grpc")
    its.sendall(
        PREFACE
        + frame(4, 0, 0, struct.pack(">HI", 4, window))
        + frame(4, 1, 0)
        + frame(1, 4, 1, head)
        + frame(0, 1, 1, bytes(5))
    )
    return its


def deaf_watch(machine="127.0.0.1"):
    """One that allows no answer."""
    its = raw_watch(0, machine)
    assert its.recv(1)  # its settings: it has ours as well
    return its


def frames(its):
    """(type, flags, stream, payload) until the peer ends the connection."""
    with its.makefile("rb") as lines:
        while head := lines.read(9):
            length = int.from_bytes(head[:3], "big")
            type, flags, stream = struct.unpack(">BBI", head[3:])
            yield type, flags, stream, lines.read(length)


# ---- the scenarios ----


def checks():
    its = stub()
    assert check(its) == NOT_SERVING
    ask("serve")
    assert check(its) == SERVING
    ask("serve")
    assert check(its) == SERVING
    ask("fail")
    assert check(its) == NOT_SERVING
    for name in ("flwr", "flwr.proto.Fleet", "\u00e4", "x" * 4000):
        assert fails(lambda name=name: check(its, name)) == "NOT_FOUND"
    assert fails(lambda: check(its, "x" * 5000)) == "RESOURCE_EXHAUSTED"
    raw = channel()
    for method in ("Check", "Watch"):
        for broken in (b"\x0a", b"\x0a\x05ab", b"\x0a\x02\xff\xfe", b"\x0a\x01\0"):
            call = raw.unary_unary(SERVICE + method)
            assert fails(lambda: call(broken, timeout=20)) == "INVALID_ARGUMENT", broken
    assert fails(lambda: raw.unary_unary(SERVICE + "List")(b"", timeout=20)) == "UNIMPLEMENTED"
    assert fails(lambda: raw.unary_unary("/x.Y/Check")(b"", timeout=20)) == "UNIMPLEMENTED"
    # What a later release may add is passed over, as is a known field of another kind.
    later = raw.unary_unary(SERVICE + "Check")(b"\x08\x01\x10\x07\x1a\x01x", timeout=20)
    assert health_pb2.HealthCheckResponse.FromString(later).status == NOT_SERVING


def watches():
    its = stub()
    watch = Watch(its)
    unknown = Watch(its, "flwr")
    watch.expect(NOT_SERVING)
    unknown.expect(UNKNOWN)
    for _ in range(20):
        ask("serve")
        watch.expect(SERVING)
        ask("serve")
        ask("fail")
        watch.expect(NOT_SERVING)
    # One that comes later begins with how it is.
    ask("serve")
    late = Watch(its)
    late.expect(SERVING)
    watch.expect(SERVING)
    assert unknown.said.empty() and watch.said.empty()
    unknown.call.cancel()
    unknown.expect("CANCELLED")
    ask("fail")
    late.expect(NOT_SERVING)
    watch.expect(NOT_SERVING)


def many():
    """As many as may be; for one more the oldest goes; half of them go, others take their place."""
    stubs = [stub() for _ in range(2)]
    # The first one is there before the others come: it is the oldest.
    all = [Watch(stubs[0])]
    all[0].expect(NOT_SERVING)
    all += [Watch(stubs[i % 2]) for i in range(1, WATCHES)]
    for each in all[1:]:
        each.expect(NOT_SERVING)
    for state, what in (("serve", SERVING), ("fail", NOT_SERVING)):
        ask(state)
        for each in all:
            each.expect(what)
    third = stub()
    more = [Watch(third)]
    more[0].expect(NOT_SERVING)
    all[0].expect("RESOURCE_EXHAUSTED")
    assert check(third) == NOT_SERVING
    assert all.pop(0).said.empty()
    for each in all[::2]:
        each.call.cancel()
        each.expect("CANCELLED")
    # The server hears of the ends a little later: meanwhile a new one ends an old one.
    more += [Watch(third) for _ in range(ON_ONE - 1)]
    for each in more[1:]:
        each.expect(NOT_SERVING)
    ask("serve")
    for each in more:
        each.expect(SERVING)


def goers():
    """Watchers whose connections break, one after the other, far more than may stay."""
    its = stub()
    for _ in range(3 * WATCHES):
        deaf_watch().close()
    ask("serve")
    assert check(its) == SERVING
    watch = Watch(its)
    first = watch.said.get(timeout=20)
    while first == "RESOURCE_EXHAUSTED":  # not all ends have been seen
        watch = Watch(its)
        first = watch.said.get(timeout=20)
    assert first == SERVING


def machines():
    """Whoever holds all that may be kept loses one to another machine, and keeps the others."""
    kept = [deaf_watch("127.0.0.2") for _ in range(KEPT)]
    few = [deaf_watch("127.0.0.3") for _ in range(2)]
    watch = Watch(stub())
    watch.expect(NOT_SERVING)
    for _ in range(KEPT):
        few.append(deaf_watch("127.0.0.2"))
    ask("serve")
    watch.expect(SERVING)
    assert watch.said.empty()
    del kept, few


def deaf():
    """Watchers that take nothing in: nothing piles up for them, others are served."""
    its = [deaf_watch() for _ in range(5)]
    watch = Watch(stub())
    watch.expect(NOT_SERVING)
    for _ in range(50):
        ask("serve")
        watch.expect(SERVING)
        ask("fail")
        watch.expect(NOT_SERVING)
    # Once it reads: the first that was sent, and then how it is now.
    its[0].sendall(frame(8, 0, 1, struct.pack(">I", 1000)))
    seen = b""
    its[0].settimeout(20)
    while seen.count(b"\0\0\0\0\x02\x08") < 1:
        seen += its[0].recv(65536)
    assert seen.count(b"\0\0\0\0\x02\x08") == 1  # it was not serving then, and is not now
    print("stop", flush=True)
    watch.expect("UNAVAILABLE")
    assert sys.stdin.readline() == "ok\n"


def crowd():
    """Strangers in numbers, who say nothing or nonsense; probes are answered all the same."""
    host, port = address.rsplit(":", 1)
    ask("serve")
    silent = [socket.create_connection((host, int(port))) for _ in range(3 * CONNECTIONS)]
    assert check(stub()) == SERVING
    halves = [socket.create_connection((host, int(port))) for _ in range(10)]
    for each in halves:
        each.sendall(PREFACE[:-1])
    for words in (b"GET /health HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\0", b"x" * 100000):
        with socket.create_connection((host, int(port))) as other:
            try:
                other.sendall(words)
                assert other.recv(100) == b""
            except ConnectionError:
                pass
    assert check(stub()) == SERVING
    # Those that stay leave room for those that come and go.
    kept = [Watch(stub())]
    kept[0].expect(SERVING)  # it is the oldest
    kept += [Watch(stub()) for _ in range(1, KEPT)]
    for each in kept[1:]:
        each.expect(SERVING)
    kept.append(Watch(stub()))
    kept[-1].expect(SERVING)
    kept.pop(0).expect("RESOURCE_EXHAUSTED")
    for _ in range(CONNECTIONS):
        assert check(stub()) == SERVING
    ask("fail")
    for each in kept:
        each.expect(NOT_SERVING)
    del silent, halves


def stop():
    """Everyone is told, and nothing is left."""
    stubs = [stub() for _ in range(10)]
    all = [Watch(stubs[i % 10]) for i in range(100)]
    for each in all:
        each.expect(NOT_SERVING)
    print("stop", flush=True)
    for each in all:
        each.expect("UNAVAILABLE")
    assert sys.stdin.readline() == "ok\n"
    host, port = address.rsplit(":", 1)
    with socket.socket() as late:
        assert late.connect_ex((host, int(port))) != 0


def change_and_stop():
    """What was said last before the end still arrives. gRPC's own client drops a message that its
    user has not read when a status other than OK comes, so that frames are read here."""
    its = raw_watch(1 << 16)
    its.settimeout(20)
    said = []
    for type, flags, stream, payload in frames(its):
        if stream != 1:
            continue
        if type == 0:
            said.append(health_pb2.HealthCheckResponse.FromString(payload[5:]).status)
            if said == [NOT_SERVING]:
                print("serve, stop", flush=True)
        elif type == 3 or flags & 1:
            said.append("end")
    assert said == [NOT_SERVING, SERVING, "end"], said
    assert sys.stdin.readline() == "ok\n"


globals()[sys.argv[1]]()
