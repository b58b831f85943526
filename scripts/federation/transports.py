"""The transports of 1.15.2, plain and with TLS: Python's programs and ours in turn; then the legacy
stream, and gRPC itself (calls.py)."""

import contextlib
import shlex
import sys
import tempfile
from pathlib import Path

from .bench import APP, ROOT, Bench
from .calls import CALLS, measure
from .credentials import Certificates
from .measure import build_fab, machine, status_field, table
from .standin import PlainStandIn
from .superlink.grpc_link import AdapterLink, GrpcLink
from .superlink.http_link import RestLink

# what it is called, the option, what carries calls
TRANSPORTS = [
    ("grpc-rere", None, GrpcLink),
    ("grpc-adapter", "--grpc-adapter", AdapterLink),
    ("REST", "--rest", RestLink),
]
SECURITY = ("plain", "TLS")
RATE = {"plain": "4 times Python's", "TLS": "2 times Python's"}
NO_WORSE = "no worse"
SMALL = 8  # a large message comes after one that is so many times smaller

# figure, unit, what is to be reached
NODE = [
    ("start to registered", "ms", NO_WORSE),
    ("tiny message, whole round trip", "ms", NO_WORSE),
    ("large message there and back", "MiB/s", RATE),
    ("... there, pulled to user code", "MiB/s", NO_WORSE),
    ("... back, user code to reply", "MiB/s", NO_WORSE),
    ("... CPU time of the supervisor", "s", NO_WORSE),
    ("... peak of the supervisor above idle", "MiB", NO_WORSE),
]


def figures(cases, rows):
    """The rows of each case that is measured both plain and with TLS."""
    return [
        (f"{case}, {security}: {figure}", unit, goal[security] if goal is RATE else goal)
        for case in cases
        for security in SECURITY
        for figure, unit, goal in rows
    ]


class Transports(Bench):
    FIGURES = figures([name for name, *_ in TRANSPORTS], NODE) + CALLS

    case = None  # the one at hand, as its rows begin

    def add(self, figure, programs, value):
        """What this table has no row for is left out."""
        figure = f"{self.case}: {figure}" if self.case else figure
        if any(figure == name for name, *_ in self.FIGURES):
            super().add(figure, programs, value)

    def round(self, programs):
        federation, node = self.start(programs)
        try:
            self.messages(programs)
            (kib,) = status_field(f"/proc/{node.pid}/status", "VmRSS")
            before = max(1, self.options.large // SMALL)
            pulled, began, ended, came = self.large(programs, node, kib / 1024, before)
            mib = self.options.large
            self.add("... there, pulled to user code", programs, mib / (began - pulled))
            self.add("... back, user code to reply", programs, mib / (came - ended))
        except Exception:
            print(node.text()[-5000:], file=sys.stderr)
            raise
        finally:
            federation.end()
        for _ in range(2):
            self.restarts(programs)


def run(options, programs, binaries):
    """The table, as lines."""
    environment = ROOT / "build/python/flower-1.15.2"
    fab = build_fab(environment, APP)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        certificates = Certificates(folder / "tls")
        bench = Transports(options, environment, binaries, folder, None)
        if options.only_calls:
            bench.FIGURES = CALLS
        for name, bench.transport, carrier in [] if options.only_calls else TRANSPORTS:
            for security in SECURITY:
                bench.case = f"{name}, {security}"
                bench.certificates = certificates if security == "TLS" else None
                bench.standin = PlainStandIn(carrier, fab, bench.certificates)
                for number in range(options.runs):
                    for each in programs:
                        say(f"{bench.case}, run {number + 1} of {options.runs}: {each}")
                        bench.round(each)
                bench.standin.close()
        bench.case = None
        for number in range(options.runs):
            for security in SECURITY:
                for each in programs:
                    say(f"calls, {security}, run {number + 1} of {options.runs}: {each}")
                    measure(bench, each, security, certificates)
    return [
        f"Medians (smallest - largest) of {options.runs} runs in turn, {options.messages} messages "
        f"each, one of {options.large} MiB, by `{shlex.join(['scripts/bench', *sys.argv[1:]])}` on "
        f"{machine()}.",
        "",
        *table(bench, "1.15.2"),
    ]


def say(text):
    print(text, file=sys.stderr, flush=True)
