"""Measures Python's SuperNode and ours in turn on the same work; prints a table."""

import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from flwr.common import array_from_numpy

from . import clients
from .measure import (
    ARRAYS,
    COLD_TRIP,
    WARM_KILL,
    WARM_TRIP,
    Peaks,
    Rounds,
    at_rest,
    build_fab,
    cell,
    machine,
    own_cpu,
    parse,
    reaper_mib,
    status_field,
    table,
    warm_figures,
)
from .processes import free_ports, wait_until
from .standin import PlainStandIn
from .superlink.grpc_link import AdapterLink, GrpcLink
from .superlink.http_link import RestLink

ROOT = Path(__file__).resolve().parents[2]
APP = Path(__file__).parent / "tiny"
TORCH_APP = Path(__file__).parent / "tiny-torch"

# figure, unit, what is to be reached
FIGURES = [
    ("start to registered", "ms", "1/12 of Python's"),
    ("idle, resident (RSS)", "MiB", "24 MiB"),
    ("idle, anonymous (RssAnon)", "MiB", "4 MiB"),
    ("idle CPU", "%", ""),
    ("idle context switches", "1/s", ""),
    (COLD_TRIP, "ms", "0.65 of Python's, or the imports + 40 ms"),
    ("... ready to pulled", "ms", ""),
    ("... pulled to user code", "ms", ""),
    ("... user code to reply", "ms", ""),
    *warm_figures("1/20 of Python's"),
    ("worker killed to error reply", "ms", "100 ms"),
    ("app killed to error reply", "ms", "100 ms"),
    (WARM_KILL, "ms", "100 ms"),
    ("... our worker, to Python's SuperNode", "ms", "100 ms"),
    ("process isolation: tiny message, round trip", "ms", "1/3 of Python's"),
    ("tiny messages a second, warm, 1 worker", "1/s", ""),
    ("tiny messages a second, warm, 2 workers", "1/s", ""),
    ("tiny messages a second, warm, 4 workers", "1/s", "30"),
    ("large message there and back", "MiB/s", "4 times Python's"),
    ("... CPU time of the supervisor", "s", "1/8 of Python's"),
    ("... peak of the supervisor above idle", "MiB", "the message + 8 MiB"),
    ("... supervisor afterwards above idle", "MiB", "4 MiB"),
    ("... peak of the worker", "MiB", ""),
    ("... peak of the app process", "MiB", ""),
]
IMPORTS = "python imports flwr.client, and ends"
BIDI_STATIC = "grpc-bidi, libflwr.a"
CLIENTS = {"grpc-rere": GrpcLink, "grpc-adapter": AdapterLink, "rest": RestLink}


class Bench(Rounds):
    """With Flower 1.15, whose messages carry what they have."""

    FIGURES = FIGURES

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.made = {}

    def arrays(self, mib):
        if mib not in self.made:
            rng = np.random.default_rng(mib)
            self.made[mib] = {
                str(n): array_from_numpy(rng.random((mib << 18) // ARRAYS, dtype=np.float32))
                for n in range(ARRAYS)
            }
        return self.made[mib]

    def there_and_back(self, programs, mib):
        """(when it was pulled, when the app began, when it ended, when the reply was here)"""
        self.standin.room((mib + 64) << 20)
        message = self.standin.send(self.arrays(mib), sit="")
        reply = self.standin.wait_reply(message.id, 300)
        self.standin.check(programs, reply)
        sent = {name: array.data for name, array in self.arrays(mib).items()}
        record = reply.message.content.parameters["bulk"]
        if dict(zip(record.data_keys, (each.data for each in record.data_values))) != sent:
            raise RuntimeError(f"{programs}: the arrays came back changed")
        self.standin.replies.clear()
        return message.pulled, *self.standin.times(reply), reply.came

    def large(self, programs, node, idle, before):
        """Arrays there and back, after some of this size before them, which do not count; the
        moments of there_and_back()."""
        mib = self.options.large
        self.there_and_back(programs, before)
        wait_until(lambda: programs == "python" or at_rest(node.pid), "the worker is gone")
        time.sleep(1)
        cpu = own_cpu(node.pid)
        with Peaks(node.pid) as peaks:
            moments = self.there_and_back(programs, mib)
        time.sleep(1)
        (after_kib,) = status_field(f"/proc/{node.pid}/status", "VmRSS")
        rate = 2 * mib / (moments[-1] - moments[0])
        self.add("large message there and back", programs, rate)
        self.add("... CPU time of the supervisor", programs, own_cpu(node.pid) - cpu)
        self.add("... peak of the supervisor above idle", programs, peaks.mib["supervisor"] - idle)
        self.add("... supervisor afterwards above idle", programs, after_kib / 1024 - idle)
        for figure, process in (("worker", "worker"), ("app process", "app")):
            if peaks.mib.get(process):
                self.add(f"... peak of the {figure}", programs, peaks.mib[process])
        return moments

    def isolation(self, programs):
        """The worker is started by somebody else and asks for messages."""
        address = f"127.0.0.1:{free_ports(1)[0]}"
        options = {"--isolation": "process", "--clientappio-api-address": address}
        federation, node = self.start(programs, None, **options)
        try:
            quiet = None
            if programs == "ours":
                quiet = {"--log-level": "info", "--preload": "none"}
            federation.start_clientapp(address, quiet)
            for ready, _, reply in self.back_to_back(programs):
                figure = "process isolation: tiny message, round trip"
                self.add(figure, programs, (reply.came - ready) * 1e3)
        except Exception:
            print(node.text()[-5000:], file=sys.stderr)
            raise
        finally:
            federation.end()

    def rates(self, programs):
        """Messages that are all there from the beginning, as many at a time as there are workers; a
        node of Python's works on one at a time."""
        for figure, workers in [("1 worker", 1), ("2 workers", 2), ("4 workers", 4)]:
            if programs == "python" and workers > 1:
                return
            options = {}
            if programs == "ours":
                options |= {"--max-workers": workers, "--preload": "numpy"}
            if workers > 1:
                options["--parallel-in-run"] = True
            federation, node = self.start(programs, None, **options)
            try:
                rate = self.rate(programs, workers)
                self.add(f"tiny messages a second, warm, {figure}", programs, rate)
            except Exception:
                print(node.text()[-5000:], file=sys.stderr)
                raise
            finally:
                federation.end()

    def rate(self, programs, workers):
        standin = self.standin
        wanted = workers * max(4, self.options.messages)

        def all_of(number):
            """The replies to so many messages that are sent at once."""
            sent = [standin.send(sit="").id for _ in range(number)]
            return [standin.wait_reply(id, 120) for id in sent]

        for _ in range(2):  # the first one fetches and installs the app; afterwards a Python is warmed
            all_of(workers + 1)
            time.sleep(3)
        start = time.time()
        replies = all_of(wanted)
        for reply in replies:
            standin.check(programs, reply)
        return wanted / (max(reply.came for reply in replies) - start)

    def crossed(self):
        """The app of our worker is killed, until a SuperNode of Python has the error reply, which it
        then looks for ten times a second."""
        address = f"127.0.0.1:{free_ports(1)[0]}"
        options = {"--isolation": "process", "--clientappio-api-address": address}
        federation, node = self.start("python", None, **options)
        try:
            clientapp = federation.start_clientapp(address, {"--log-level": "info"}, "ours")
            answered, _ = self.kill_app_of(clientapp, federation, node)
            self.add("... our worker, to Python's SuperNode", "ours", answered)
        finally:
            federation.end()

    def when_warm(self, programs, federation, node):
        """The app is forked by a Python that is there. Python's worker is killed together with its app,
        and its node is of no use any more."""
        for _ in range(1 if programs == "python" else min(self.options.messages, 10)):
            self.kill(programs, federation, node, "app", WARM_KILL)
            time.sleep(1)

    def round(self, programs):
        federation, node = self.start(programs)
        try:
            self.idle(programs, node)
            self.messages(programs)
            self.kill(programs, federation, node, "worker")
            if programs == "ours":
                self.kill(programs, federation, node, "app")
        except Exception:
            print(node.text()[-5000:], file=sys.stderr)
            raise
        finally:
            federation.end()
        # A node of its own: Python's is of no use any more once a worker was killed.
        federation, node = self.start(programs, None)
        try:
            idle = statistics.median(self.values[("idle, resident (RSS)", programs)])
            self.large(programs, node, idle - reaper_mib(node), self.options.large)
        except Exception:
            print(node.text()[-5000:], file=sys.stderr)
            raise
        finally:
            federation.end()

    def round_native(self, programs):
        """Messages alone: small ones, a large one."""
        federation, node = self.start(programs, None)
        try:
            (idle,) = status_field(f"/proc/{node.pid}/status", "VmRSS")
            self.messages(programs)
            self.large(programs, node, idle / 1024, self.options.large)
        except Exception:
            print(node.text()[-5000:], file=sys.stderr)
            raise
        finally:
            federation.end()

    def round_torch(self, programs):
        """Each message starts its interpreter."""
        federation, node = self.start(programs, None)
        try:
            self.messages(programs)
        except Exception:
            print(node.text()[-5000:], file=sys.stderr)
            raise
        finally:
            federation.end()

    def imports(self):
        """What Python needs for Flower alone, in ms."""
        argv = [self.environment / "bin/python", "-c", "import flwr.client"]
        env = {**os.environ, "FLWR_TELEMETRY_ENABLED": "0"}
        start = time.monotonic()
        subprocess.run(argv, check=True, env=env)
        return (time.monotonic() - start) * 1e3


def run(options, programs, binaries):
    """The table of 1.15.2, as lines."""
    kind, app = ("frameworks", TORCH_APP) if options.torch else ("flower", APP)
    environment = ROOT / f"build/python/{kind}-1.15.2"
    imports = []
    fab = build_fab(environment, app)
    standin = PlainStandIn(GrpcLink, fab)
    more = []
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        bench = Bench(options, environment, binaries, Path(folder), standin)
        for run in range(options.runs):
            for each in programs:
                print(f"run {run + 1} of {options.runs}: {each}", file=sys.stderr, flush=True)
                if options.native:
                    bench.round_native(each)
                    continue
                if options.slots:
                    bench.rates(each)
                    continue
                if options.torch:
                    bench.round_torch(each)
                bench.warm(each)
                if options.warm:
                    continue
                bench.round(each)
                bench.isolation(each)
                bench.rates(each)
                if each == "ours":
                    bench.crossed()
                bench.restarts(each)
            imports.append(bench.imports())
        if options.slots:
            bench.FIGURES = bench.only({})
        if options.native:
            more = run_clients(bench, programs, fab)
    standin.close()
    if options.torch:
        bench.FIGURES = bench.only({WARM_TRIP: "1/50 of Python's", COLD_TRIP: ""})
    elif options.warm:
        bench.FIGURES = bench.only({})
    if options.native:
        bench.FIGURES = bench.only({"tiny message, whole round trip": "1/40 of Python's"})
    return [
        f"Medians (smallest - largest) of {options.runs} runs in turn, {options.messages} messages "
        f"each, one of {options.large} MiB, by `{shlex.join(['scripts/bench', *sys.argv[1:]])}` on "
        f"{machine()}.",
        "",
        *table(bench, "1.15.2", {"app killed": "worker killed to error reply"}),
        f"| {IMPORTS}, ms | {cell(imports)} | | | |",
        *more,
    ]


def run_clients(bench, programs, fab):
    """The rows of programs with a client in them; lines for below the table."""
    standins = {name: PlainStandIn(carrier, fab) for name, carrier in CLIENTS.items()}
    bench.FIGURES = [
        *bench.FIGURES,
        *clients.BIDI,
        *(row for name in standins for row in clients.fits(name)),
        *(row for case in ("grpc-bidi", BIDI_STATIC, "grpc-rere") for row in clients.idle(case)),
        *clients.SIZES,
    ]
    for run in range(bench.options.runs):
        for each in programs:
            print(f"clients, run {run + 1}: {each}", file=sys.stderr, flush=True)
            clients.bidi(bench, each)
            for name, standin in standins.items():
                clients.fit(bench, each, name, standin)
        idle_clients(bench, programs, standins["grpc-rere"])
    for standin in standins.values():
        standin.close()
    return ["", clients.sizes(bench)] if "ours" in programs else []


def idle_clients(bench, programs, standin):
    """Over the legacy stream, and at a SuperLink."""
    server = clients.IdleServer()
    for each in programs:
        clients.at_rest(bench, each, "grpc-bidi", "grpc-bidi", server)
        clients.at_rest(bench, each, "grpc-rere", "grpc-rere", standin)
    if "ours" in programs:
        clients.at_rest(bench, "ours", BIDI_STATIC, "grpc-bidi", server, clients.STATIC)
    server.close()


def run_transports(options, programs, binaries):
    """The table of the transports; that module needs what is above."""
    from .transports import run as measure

    return measure(options, programs, binaries)


def run_workers(options, programs, binaries):
    """The tables of process isolation; that module needs what is above."""
    from .workers import run as measure

    return measure(options, programs, binaries)


def run_fleet(options, programs, binaries):
    """The table of many nodes at once; that module needs what is above."""
    from .fleets import run as measure

    return measure(options, programs, binaries)


def run_newest():
    """The table of the newest release, by its own python: one process has one flwr."""
    python = ROOT / "build/python/flower-1.41.0/bin/python"
    argv = [python, "-B", "-m", "federation.bench_http", *sys.argv[1:]]
    return subprocess.run(argv, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()


def main():
    options = parse(__doc__)
    if options.check:
        return 0
    binaries = Path(os.environ.get("FLWR_BIN_DIR", ROOT / "build/release/bin"))
    programs = [options.programs] if options.programs else ["python", "ours"]
    if options.transports:
        lines = run_transports(options, programs, binaries)
    elif options.fleet:
        lines = run_fleet(options, programs, binaries)
    else:
        measure = run_workers if options.workers else run
        lines = [] if options.release == "1.41" else measure(options, programs, binaries)
        if options.release != "1.15" and not options.slots and not options.torch:
            lines += [""] * bool(lines) + run_newest()
    text = "\n".join(lines) + "\n"
    print(text, end="")
    if options.write:
        options.write.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
