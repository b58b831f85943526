"""flwr_start_client() in a program in C (client_bench.c) beside Python's start_client, both of which do
nothing in each call: under flwr.server.start_server, and at stand-ins for SuperLinks; the size of that
program, and its memory when it has nothing to do."""

import contextlib
import re
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import grpc

from .calls import ADDRESS, SECONDS, STREAM, answered, built, python, start
from .measure import memory
from .processes import Guard

SETTLE_S = 10  # at most
SHARED, STATIC = "tests/client-bench", "tests/client-bench-static"
BIDI = [
    (f"start_client, grpc-bidi: {text}", "1/s", "2 times Python's") for text in STREAM.values()
]
IDLE = [
    ("resident (RSS)", "MiB", "20 MiB"),
    ("anonymous (RssAnon)", "MiB", ""),
    ("shared pages divided (PSS)", "MiB", ""),
]
SIZES = [
    ("smallest program with a client, libflwr.a in it: stripped", "KiB", ""),
    ("... beside libflwr.so: stripped", "KiB", ""),
    ("... libflwr.so and libflwr-app.so: stripped", "KiB", ""),
    ("... shared libraries of others that it loads", "MiB", ""),
]


def fits(transport):
    """The rows of a transport of SuperLinks."""
    return [
        (f"start_client, {transport}: fit of four numbers, round trip", "ms", ""),
        (f"start_client, {transport}: ... one after the other", "1/s", ""),
    ]


def idle(case):
    return [(f"idle client, {case}: {figure}", unit, goal) for figure, unit, goal in IDLE]


# ---- the programs ----


def argv_of(bench, programs, transport, which=SHARED):
    """The client's command line, with ADDRESS in it."""
    if programs == "ours":
        # Each transport of SuperLinks but the legacy one finds HTTP by itself.
        return [built(bench, which), ADDRESS, "grpc-rere" if transport == "http" else transport]
    return [*python(bench, "bidi_peer"), "client-over", transport, ADDRESS]


def launch(guard, argv, address):
    name = f"client-{len(guard.processes)}"
    return start(guard, name, [address if word == ADDRESS else word for word in argv])


@contextlib.contextmanager
def guard_of(bench):
    bench.number += 1
    with Guard(bench.folder / str(bench.number)) as guard:
        yield guard


# ---- calls ----


def bidi(bench, programs):
    """Under start_server of 1.15.2."""
    with guard_of(bench) as guard:
        seen = answered(bench, guard, argv_of(bench, programs, "grpc-bidi"))
    for kind, text in STREAM.items():
        bench.add(f"start_client, grpc-bidi: {text}", programs, seen[kind])


def fit(bench, programs, transport, standin):
    """The next message is ready when the reply of the last one has come, for so many seconds."""
    took = []
    over = threading.Event()
    ready = end = None

    def next_one(came):
        nonlocal ready, end
        if end is None:  # the first one finds out, and connects
            end = came + SECONDS
        else:
            took.append(came - ready)
        if came > end:
            over.set()
            return
        standin.send_fit()
        ready = time.time()

    standin.forget()
    with guard_of(bench) as guard:
        client = launch(guard, argv_of(bench, programs, transport), standin.address)
        try:
            standin.wait_online(60)
            standin.on_reply = next_one
            standin.send_fit()
            if not over.wait(60 + SECONDS):
                raise RuntimeError(f"{programs}: no replies over {transport}")
        except Exception:
            print(client.text()[-5000:])
            raise
        finally:
            standin.on_reply = None
    for reply in standin.replies:
        standin.check(programs, reply)
    standin.replies.clear()
    (trip, *_), (rate, *_) = fits(transport)
    for seconds in took:
        bench.add(trip, programs, seconds * 1e3)
    bench.add(rate, programs, len(took) / sum(took))


# ---- memory ----


class IdleServer:
    """Of the legacy stream, with nothing to ask for."""

    def __init__(self):
        self.joined = threading.Semaphore(0)
        self.server = grpc.server(ThreadPoolExecutor(8))
        join = grpc.stream_stream_rpc_method_handler(self.join)
        handler = grpc.method_handlers_generic_handler("flwr.proto.FlowerService", {"Join": join})
        self.server.add_generic_rpc_handlers((handler,))
        self.address = f"127.0.0.1:{self.server.add_insecure_port('127.0.0.1:0')}"
        self.server.start()

    def join(self, messages, context):
        self.joined.release()
        with contextlib.suppress(grpc.RpcError):
            yield from (b"" for _ in messages)

    def wait_online(self, seconds):
        if not self.joined.acquire(timeout=seconds):
            raise RuntimeError("no client has come")

    def forget(self):
        pass

    def close(self):
        self.server.stop(0).wait()


def at_rest(bench, programs, case, transport, server, which=SHARED):
    """One client with nothing to do; alone, as others beside it would share its libraries' pages."""
    server.forget()
    with guard_of(bench) as guard:
        client = launch(guard, argv_of(bench, programs, transport, which), server.address)
        server.wait_online(60)
        time.sleep(min(bench.options.settle, SETTLE_S))  # what is measured is time without events
        for (figure, *_), mib in zip(idle(case), memory(client.pid)):
            bench.add(figure, programs, mib)


# ---- size ----


def stripped(bench, path):
    """Its size without symbols, in bytes."""
    out = bench.folder / "stripped"
    subprocess.run(["strip", "--strip-unneeded", "-o", out, path], check=True)
    size = out.stat().st_size
    out.unlink()
    return size


def loaded(path):
    """The shared libraries that a program loads: {name: file}"""
    text = subprocess.run(["ldd", path], check=True, capture_output=True, text=True).stdout
    return dict(re.findall(r"^\s*(\S+) => (/\S+)", text, re.MULTILINE))


def needed(path):
    """Those that it names itself."""
    text = subprocess.run(["readelf", "-d", path], check=True, capture_output=True, text=True).stdout
    return re.findall(r"NEEDED.*\[(.*)\]", text)


def sizes(bench):
    """Add the rows; a sentence that names the libraries."""
    static, shared = built(bench, STATIC), built(bench, SHARED)
    mine = [file for name, file in loaded(shared).items() if name.startswith("libflwr")]
    others = loaded(static)
    values = [
        stripped(bench, static) / 1024,
        stripped(bench, shared) / 1024,
        sum(stripped(bench, file) for file in mine) / 1024,
        sum(stripped(bench, file) for file in others.values()) / (1 << 20),
    ]
    for (figure, *_), value in zip(SIZES, values):
        bench.add(figure, "ours", value)
    names = ", ".join(needed(static))
    return f"The smallest program needs {names}; with what those need: {len(others)} libraries."
