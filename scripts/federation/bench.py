"""Measures Python's SuperNode and ours in turn on the same work; prints a table."""

import argparse
import contextlib
import hashlib
import os
import platform
import shlex
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from datetime import datetime
from pathlib import Path

import numpy as np
from flwr.common import array_from_numpy

from .peers import PROGRAMS, Federation
from .processes import command_of, free_ports, tree_of, wait_until
from .standin import StandIn

ARRAYS = 16
POLL_S = 0.01

ROOT = Path(__file__).resolve().parents[2]
APP = Path(__file__).parent / "tiny"
TICKS = os.sysconf("SC_CLK_TCK")

# figure, unit, what is to be reached
FIGURES = [
    ("start to registered", "ms", "1/12 of Python's"),
    ("idle, resident (RSS)", "MiB", "24 MiB"),
    ("idle, anonymous (RssAnon)", "MiB", "4 MiB"),
    ("idle CPU", "%", ""),
    ("idle context switches", "1/s", ""),
    ("tiny message, whole round trip", "ms", "0.65 of Python's, or the imports + 40 ms"),
    ("... ready to pulled", "ms", ""),
    ("... pulled to user code", "ms", ""),
    ("... user code to reply", "ms", ""),
    ("worker killed to error reply", "ms", "100 ms"),
    ("app killed to error reply", "ms", "100 ms"),
    ("... our worker, to Python's SuperNode", "ms", "100 ms"),
    ("process isolation: tiny message, round trip", "ms", "1/3 of Python's"),
    ("large message there and back", "MiB/s", "4 times Python's"),
    ("... CPU time of the supervisor", "s", "1/8 of Python's"),
    ("... peak of the supervisor above idle", "MiB", "the message + 8 MiB"),
    ("... supervisor afterwards above idle", "MiB", "4 MiB"),
    ("... peak of the worker", "MiB", ""),
    ("... peak of the app process", "MiB", ""),
]
IMPORTS = "python imports flwr.client, and ends"


def build_fab(environment):
    """(hash, bytes) of the tiny app."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [environment / "bin/flwr", "build", "--app", APP],
            cwd=folder,
            check=True,
            stdout=subprocess.DEVNULL,
        )
        (fab,) = Path(folder).glob("*.fab")
        content = fab.read_bytes()
    return hashlib.sha256(content).hexdigest(), content


def status_field(path, *names):
    values = dict.fromkeys(names, 0)
    with open(path, encoding="utf-8") as file:
        for line in file:
            name, _, value = line.partition(":")
            if name in values:
                values[name] = int(value.split()[0])
    return [values[name] for name in names]


def memory(pid):
    """(RSS, RssAnon) of the tree, in MiB."""
    totals = [0, 0]
    for each in tree_of(pid):
        for index, kib in enumerate(status_field(f"/proc/{each}/status", "VmRSS", "RssAnon")):
            totals[index] += kib / 1024
    return totals


def effort(pid):
    """(CPU seconds, context switches) of the tree so far."""
    seconds = switches = 0
    for each in tree_of(pid):
        seconds += own_cpu(each)
        for task in Path(f"/proc/{each}/task").iterdir():
            names = ("voluntary_ctxt_switches", "nonvoluntary_ctxt_switches")
            switches += sum(status_field(task / "status", *names))
    return seconds, switches


def own_cpu(pid):
    """CPU seconds of this process alone so far."""
    with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def role(pid, node):
    """What this process of a node's tree is."""
    if pid == node:
        return "supervisor"
    program = Path(command_of(pid).split(" ")[0]).name
    return "worker" if program == "flwr-clientapp" else "app" if "python" in program else None


class Peaks(threading.Thread):
    """The largest resident memory of each role in a node's tree, in MiB, while it is watched."""

    def __init__(self, node):
        super().__init__(daemon=True)
        self.node = node
        self.over = threading.Event()
        self.mib = {}

    def __enter__(self):
        Path(f"/proc/{self.node}/clear_refs").write_text("5", encoding="utf-8")
        self.start()
        return self.mib

    def __exit__(self, *_):
        self.over.set()
        self.join()

    def run(self):
        while not self.over.wait(POLL_S):
            for pid in tree_of(self.node):
                with contextlib.suppress(OSError):
                    (kib,) = status_field(f"/proc/{pid}/status", "VmHWM")
                    mine = role(pid, self.node)
                    self.mib[mine] = max(self.mib.get(mine, 0), kib / 1024)


class Bench:
    def __init__(self, options, environment, binaries, folder):
        self.options = options
        self.environment = environment
        self.binaries = binaries
        self.folder = folder
        self.standin = StandIn(*build_fab(environment))
        self.values = {}
        self.number = 0

    def add(self, figure, programs, value):
        assert any(figure == name for name, _, _ in FIGURES)
        self.values.setdefault((figure, programs), []).append(value)

    def start(self, programs, figure="start to registered", **options):
        """A node of its own federation, registered: (federation, node)."""
        self.standin.forget()
        self.number += 1
        folder = self.folder / str(self.number)
        federation = Federation(folder, self.environment, self.binaries, programs)
        before = time.time()
        if programs == "ours":
            options.setdefault("--log-level", "info")
        node = federation.start_node(superlink=self.standin.address, wait=False, options=options)
        registered = self.standin.wait_registered()
        if figure:
            self.add(figure, programs, (registered - before) * 1e3)
        return federation, node

    def idle(self, programs, node):
        time.sleep(self.options.settle)  # what is measured is time without events
        for figure, mib in zip(("resident (RSS)", "anonymous (RssAnon)"), memory(node.pid)):
            self.add(f"idle, {figure}", programs, mib)
        before = effort(node.pid)
        start = time.monotonic()
        time.sleep(self.options.idle)
        after = effort(node.pid)
        elapsed = time.monotonic() - start
        self.add("idle CPU", programs, 100 * (after[0] - before[0]) / elapsed)
        self.add("idle context switches", programs, (after[1] - before[1]) / elapsed)

    def back_to_back(self, programs):
        """The next message is ready when the reply of the last one has come: (ready, reply) of each."""
        standin = self.standin
        ready = {}
        wanted = self.options.messages + 2  # the first ones fetch and install the app

        def next_one(came):
            if len(ready) < wanted:
                ready[standin.send(sit="")] = came

        standin.on_reply = next_one
        next_one(time.time())
        standin.wait(
            lambda: len(ready) == wanted and set(ready) <= set(standin.replies), "replies", 120
        )
        standin.on_reply = None
        for message in list(ready)[2:]:
            came, reply = standin.replies[message]
            if reply.HasField("error"):
                raise RuntimeError(f"{programs}: {reply.error}")
            yield ready[message], standin.pulled[message], came, reply

    def messages(self, programs):
        for ready, pulled, came, reply in self.back_to_back(programs):
            times = reply.content.metrics["times"].data
            began, ended = times["began"].double, times["ended"].double
            self.add("tiny message, whole round trip", programs, (came - ready) * 1e3)
            self.add("... ready to pulled", programs, (pulled - ready) * 1e3)
            self.add("... pulled to user code", programs, (began - pulled) * 1e3)
            self.add("... user code to reply", programs, (came - ended) * 1e3)

    def large(self, programs, node):
        """Arrays there and back, twice; the second time counts."""
        mib = self.options.large
        rng = np.random.default_rng(mib)
        arrays = {
            str(n): array_from_numpy(rng.random((mib << 18) // ARRAYS, dtype=np.float32))
            for n in range(ARRAYS)
        }
        self.standin.reply(self.standin.send(arrays, sit=""), 300)
        wait_until(lambda: tree_of(node.pid)[1:2] == [] or programs == "python", "the worker is gone")
        time.sleep(1)
        (before_kib,) = status_field(f"/proc/{node.pid}/status", "VmRSS")
        cpu = own_cpu(node.pid)
        with Peaks(node.pid) as peaks:
            message = self.standin.send(arrays, sit="")
            came, reply = self.standin.reply(message, 300)
        if reply.HasField("error"):
            raise RuntimeError(f"{programs}: {reply.error}")
        sent = {name: array.data for name, array in arrays.items()}
        record = reply.content.parameters["bulk"]
        if dict(zip(record.data_keys, (each.data for each in record.data_values))) != sent:
            raise RuntimeError(f"{programs}: the arrays came back changed")
        self.standin.replies.clear()
        time.sleep(1)
        idle = statistics.median(self.values[("idle, resident (RSS)", programs)])
        (after_kib,) = status_field(f"/proc/{node.pid}/status", "VmRSS")
        rate = 2 * mib / (came - self.standin.pulled[message])
        self.add("large message there and back", programs, rate)
        self.add("... CPU time of the supervisor", programs, own_cpu(node.pid) - cpu)
        self.add("... peak of the supervisor above idle", programs, peaks["supervisor"] - idle)
        self.add("... supervisor afterwards above idle", programs, after_kib / 1024 - idle)
        for figure, process in (("worker", "worker"), ("app process", "app")):
            if peaks.get(process):
                self.add(f"... peak of the {figure}", programs, peaks[process])

    def isolation(self, programs):
        """The worker is started by somebody else and asks for messages."""
        address = f"127.0.0.1:{free_ports(1)[0]}"
        options = {"--isolation": "process", "--clientappio-api-address": address}
        federation, node = self.start(programs, None, **options)
        try:
            quiet = {"--log-level": "info"} if programs == "ours" else None
            federation.start_clientapp(address, quiet)
            for ready, _, came, _ in self.back_to_back(programs):
                figure = "process isolation: tiny message, round trip"
                self.add(figure, programs, (came - ready) * 1e3)
        except Exception:
            print(node.text()[-5000:], file=sys.stderr)
            raise
        finally:
            federation.end()

    def crossed(self):
        """The app of our worker is killed, until a SuperNode of Python has the error reply, which it
        then looks for ten times a second."""
        address = f"127.0.0.1:{free_ports(1)[0]}"
        options = {"--isolation": "process", "--clientappio-api-address": address}
        federation, node = self.start("python", None, **options)
        try:
            clientapp = federation.start_clientapp(address, {"--log-level": "info"}, "ours")
            killed = self.kill("ours", federation, node, "app", None)
            line = clientapp.wait_log(r"(?m)^(\S+) .* message \d+ is answered$")
            answered = datetime.fromisoformat(line.group(1)).timestamp()
            self.add("... our worker, to Python's SuperNode", "ours", (answered - killed) * 1e3)
        finally:
            federation.end()

    def kill(self, programs, federation, node, victim, figure="{} killed to error reply"):
        """SIGKILL for the process of this role while the app is at work, until the error reply; when."""
        file = federation.folder / f"{victim}.pid"
        message = self.standin.send(sit=str(file))
        wait_until(file.exists, "the app is at work", 60)
        pid = int(file.read_text(encoding="utf-8"))
        if victim == "worker" and programs == "ours":
            (pid,) = [
                each
                for each in tree_of(node.pid)
                if Path(command_of(each).split(" ")[0]).name == "flwr-clientapp"
            ]
        killed = time.time()
        os.kill(pid, signal.SIGKILL)
        came, reply = self.standin.reply(message)
        if not reply.HasField("error"):
            raise RuntimeError(f"{programs}: a killed {victim} gave a result")
        if figure:
            self.add(figure.format(victim), programs, (came - killed) * 1e3)
        return killed

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
            self.large(programs, node)
        except Exception:
            print(node.text()[-5000:], file=sys.stderr)
            raise
        finally:
            federation.end()

    def restarts(self, programs):
        """Starting is short: more of it for the same time."""
        federation, _ = self.start(programs)
        federation.end()

    def imports(self):
        """What Python needs for Flower alone, in ms."""
        argv = [self.environment / "bin/python", "-c", "import flwr.client"]
        env = {**os.environ, "FLWR_TELEMETRY_ENABLED": "0"}
        start = time.monotonic()
        subprocess.run(argv, check=True, env=env)
        return (time.monotonic() - start) * 1e3


def number(value):
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:.0f}"


def cell(values):
    if not values:
        return "-"
    return f"{number(statistics.median(values))} ({number(min(values))} - {number(max(values))})"


def machine():
    model = "unknown processor"
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    with open("/proc/meminfo", encoding="utf-8") as file:
        gib = int(file.readline().split()[1]) / (1 << 20)
    load = os.getloadavg()[1]
    return (
        f"{os.cpu_count()} cores ({model}), {gib:.0f} GiB, Linux {platform.release()}, "
        f"Python {platform.python_version()}, load {load:.1f}"
    )


def table(bench, imports):
    lines = [
        "| figure | Python's 1.15.2 | ours | ours / Python's | to reach |",
        "|---|---|---|---|---|",
    ]
    for figure, unit, goal in FIGURES:
        theirs, ours = (bench.values.get((figure, each), []) for each in ("python", "ours"))
        if figure.startswith("app killed"):
            theirs = bench.values.get(("worker killed to error reply", "python"), [])
        ratio = "-"
        if theirs and ours and statistics.median(theirs):
            ratio = f"{statistics.median(ours) / statistics.median(theirs):.3f}"
        lines.append(f"| {figure}, {unit} | {cell(theirs)} | {cell(ours)} | {ratio} | {goal} |")
    lines.append(f"| {IMPORTS}, ms | {cell(imports)} | | | |")
    return lines


def parse():
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("--runs", type=int, default=3, help="runs of each (3)")
    parser.add_argument("--messages", type=int, default=6, help="messages a run (6)")
    parser.add_argument("--idle", type=float, default=20, help="seconds to watch an idle node (20)")
    parser.add_argument("--settle", type=float, default=30, help="seconds before that (30)")
    parser.add_argument("--large", type=int, default=256, help="MiB of the large message (256)")
    parser.add_argument("--programs", choices=PROGRAMS, help="only these")
    parser.add_argument("--write", type=Path, metavar="FILE", help="the table, also to a file")
    parser.add_argument("--check", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.runs < 1 or options.messages < 1:
        parser.error("--runs and --messages are 1 or more")
    return options


def main():
    options = parse()
    if options.check:
        return 0
    environment = ROOT / "build/python/flower-1.15.2"
    binaries = Path(os.environ.get("FLWR_BIN_DIR", ROOT / "build/release/bin"))
    programs = [options.programs] if options.programs else ["python", "ours"]
    imports = []
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        bench = Bench(options, environment, binaries, Path(folder))
        for run in range(options.runs):
            for each in programs:
                print(f"run {run + 1} of {options.runs}: {each}", file=sys.stderr, flush=True)
                bench.round(each)
                bench.isolation(each)
                if each == "ours":
                    bench.crossed()
                bench.restarts(each)
            imports.append(bench.imports())
        bench.standin.close()
    command = shlex.join(["scripts/bench", *sys.argv[1:]])
    head = [
        f"Medians (smallest - largest) of {options.runs} runs in turn, {options.messages} messages "
        f"each, one of {options.large} MiB, by `{command}` on {machine()}.",
        "",
    ]
    text = "\n".join(head + table(bench, imports)) + "\n"
    print(text, end="")
    if options.write:
        options.write.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
