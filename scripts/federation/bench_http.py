"""The same beside the newest release, whose messages are objects, fetched one by one over HTTP. Run by
the python of that release, for bench.py."""

import os
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from flwr.app import Array

from . import clients, workers
from .measure import ARRAYS, Peaks, Rounds, at_rest, build_fab, cell, machine, own_cpu, parse, status_field, table, warm_figures
from .processes import wait_until
from .standin_objects import ObjectsStandIn

ROOT = Path(__file__).resolve().parents[2]
APP = Path(__file__).parent / "tiny-objects"
WATCH_S = 0.05  # a walk through /proc costs time, too
MIB = 1 << 20

FIGURES = [
    ("start to registered", "ms", "1/30 of Python's"),
    ("idle, resident (RSS)", "MiB", "1/10 of Python's"),
    ("idle, anonymous (RssAnon)", "MiB", ""),
    ("idle, shared pages divided (PSS)", "MiB", "1/10 of Python's"),
    ("idle CPU", "%", ""),
    ("idle context switches", "1/s", ""),
    ("tiny message, whole round trip", "ms", "1/3 of Python's"),
    ("... ready to pulled", "ms", ""),
    ("... pulled to user code", "ms", ""),
    ("... user code to reply", "ms", ""),
    *warm_figures("1/40 of Python's"),
]
LARGE = [
    ("there and back", "MiB/s", "2.5 times Python's"),
    ("CPU time of the supervisor", "s", "1/4 of Python's"),
    ("... for the first such message", "s", ""),
    ("peak of the supervisor above idle", "MiB", ""),
    ("... of it in no file (RssAnon)", "MiB", "64 MiB and what libraries take"),
    ("peak of the worker", "MiB", ""),
    ("peak of the app process", "MiB", ""),
]
IMPORTS = "python imports flwr.clientapp, and ends"


class Bench(Rounds):
    """With a release whose messages are objects."""

    MEMORY = ("resident (RSS)", "anonymous (RssAnon)", "shared pages divided (PSS)")

    def __init__(self, options, *rest):
        super().__init__(options, *rest)
        self.sizes = [mib for mib in (options.large, options.huge) if mib]
        self.FIGURES = FIGURES + [
            (f"{mib} MiB: {figure}", unit, goal)
            for mib in self.sizes
            for figure, unit, goal in LARGE
        ]
        self.arrays = {mib: self.make(mib) for mib in self.sizes}

    def make(self, mib):
        rng = np.random.default_rng(mib)
        return {
            str(n): Array(rng.random((mib << 18) // ARRAYS, dtype=np.float32))
            for n in range(ARRAYS)
        }

    def large(self, programs, node, mib, idle):
        """Arrays there and back, twice: as the rounds of a run."""
        self.standin.room((mib + 64) * MIB)
        with Peaks(node.pid, WATCH_S) as peaks:
            _, first_cpu = self.there_and_back(programs, node, mib)
            seconds, cpu = self.there_and_back(programs, node, mib)

        def add(figure, value):
            self.add(f"{mib} MiB: {figure}", programs, value)

        add("there and back", 2 * mib / seconds)
        add("CPU time of the supervisor", cpu)
        add("... for the first such message", first_cpu)
        add("peak of the supervisor above idle", peaks.mib["supervisor"] - idle[0])
        add("... of it in no file (RssAnon)", peaks.anon - idle[1])
        for figure, process in (("worker", "worker"), ("app process", "app")):
            if peaks.mib.get(process):
                add(f"peak of the {figure}", peaks.mib[process])

    def there_and_back(self, programs, node, mib):
        """(seconds from its pull to its reply, of the supervisor's CPU)"""
        wait_until(lambda: programs == "python" or at_rest(node.pid), "the worker is gone")
        cpu = own_cpu(node.pid)
        message = self.standin.send(self.arrays[mib], sit="")
        reply = self.standin.wait_reply(message.id, 600)
        self.standin.check(programs, reply)
        if not self.standin.has_arrays(reply):
            raise RuntimeError(f"{programs}: the arrays came back changed")
        return reply.came - message.pulled, own_cpu(node.pid) - cpu

    def round(self, programs):
        federation, node = self.start(programs, None)
        try:
            if self.options.native:
                self.messages(programs)
            elif not self.options.only_large:
                self.idle(programs, node)
                self.messages(programs)
            else:
                self.standin.wait_reply(self.standin.send(sit="").id, 60)
            idle = self.resident(programs, node)
            for mib in self.sizes:
                self.large(programs, node, mib, idle)
        except Exception:
            print(node.text()[-5000:], file=sys.stderr)
            raise
        finally:
            federation.end()

    def resident(self, programs, node):
        """(RSS, RssAnon) of the supervisor that has nothing to do, in MiB."""
        wait_until(lambda: programs == "python" or at_rest(node.pid), "the worker is gone")
        time.sleep(1)
        return [kib / 1024 for kib in status_field(f"/proc/{node.pid}/status", "VmRSS", "RssAnon")]

    def imports(self):
        """What Python needs for Flower alone, in ms."""
        argv = [self.environment / "bin/python", "-c", "import flwr.clientapp"]
        start = time.monotonic()
        subprocess.run(argv, check=True, env={**os.environ, "FLWR_TELEMETRY_ENABLED": "0"})
        return (time.monotonic() - start) * 1e3


def run_clients(bench, standin):
    """The rows of a program with a client in it, which Python's start_client of this release has not:
    it is for the legacy stream alone."""
    bench.FIGURES = [*bench.FIGURES, *clients.fits("http"), *clients.idle("http")]
    for run in range(bench.options.runs):
        print(f"clients, run {run + 1}: ours", file=sys.stderr, flush=True)
        clients.fit(bench, "ours", "http", standin)
        clients.at_rest(bench, "ours", "http", "http", standin)


def main():
    options = parse(__doc__)
    environment = ROOT / "build/python/flower-1.41.0"
    binaries = Path(os.environ.get("FLWR_BIN_DIR", ROOT / "build/release/bin"))
    programs = [options.programs] if options.programs else ["python", "ours"]
    if options.workers:
        print(*workers.run_newest(options, programs, binaries), sep="\n")
        return 0
    standin = ObjectsStandIn(build_fab(environment, APP))
    imports = []
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        bench = Bench(options, environment, binaries, Path(folder), standin)
        for run in range(options.runs):
            for each in programs:
                print(f"run {run + 1} of {options.runs}: {each}", file=sys.stderr, flush=True)
                if not (options.only_large or options.native):
                    bench.warm(each)
                if options.warm:
                    continue
                bench.round(each)
                for _ in range(0 if options.only_large or options.native else 3):
                    bench.restarts(each)
            imports.append(bench.imports())
        if options.native and "ours" in programs:
            run_clients(bench, standin)
    standin.close()
    if options.warm:
        bench.FIGURES = bench.only({})
    if options.native:
        goals = {"tiny message, whole round trip": "1/100 of Python's"}
        goals |= {f"{mib} MiB: there and back": "5 times Python's" for mib in bench.sizes}
        bench.FIGURES = bench.only(goals)
    sizes = " and ".join(f"{mib} MiB" for mib in bench.sizes)
    print(
        f"Medians (smallest - largest) of {options.runs} runs in turn, {options.messages} messages "
        f"each, two each of {sizes}, by `{shlex.join(['scripts/bench', *sys.argv[1:]])}` on "
        f"{machine()}.\n"
    )
    print(*table(bench, "1.41.0"), sep="\n")
    print(f"| {IMPORTS}, ms | {cell(imports)} | | | |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
