"""What is measured of programs, whatever they speak, and how it is said."""

import argparse
import contextlib
import hashlib
import os
import platform
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from datetime import datetime
from pathlib import Path

from .peers import PROGRAMS, Federation
from .processes import command_of, tree_of, wait_until

ARRAYS = 16  # of a large message
POLL_S = 0.01

TICKS = os.sysconf("SC_CLK_TCK")


def build_fab(environment, app):
    """(hash, bytes) of an app."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [environment / "bin/flwr", "build", "--app", app],
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
    """(RSS, RssAnon, PSS) of the tree, in MiB."""
    totals = [0, 0, 0]
    for each in tree_of(pid):
        try:
            sizes = status_field(f"/proc/{each}/status", "VmRSS", "RssAnon")
            sizes += status_field(f"/proc/{each}/smaps_rollup", "Pss")
        except ProcessLookupError:  # it has ended; Flower's launcher does not wait for its workers
            continue
        for index, kib in enumerate(sizes):
            totals[index] += kib / 1024
    return totals


def reaper_mib(node):
    """The part of a node's resident memory that its reaper has."""
    if not node.below_reaper:
        return 0
    (kib,) = status_field(f"/proc/{node.popen.pid}/status", "VmRSS")
    return kib / 1024


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
    if program == "flwr-clientapp":
        return "worker"
    return "app" if "python" in program or program == "flwr-native-host" else None


def at_rest(node):
    """Is no message at work? A worker that was started ahead may wait for the next one, and what forks
    the one after that."""
    rest = tree_of(node)[1:]
    return len(rest) <= 2 and all(role(pid, node) == "worker" for pid in rest)


class Peaks(threading.Thread):
    """The largest resident memory of each role in a node's tree, in MiB, while it is watched; anon:
    of the supervisor what is in no file, as seen every now and then."""

    def __init__(self, node, every=POLL_S):
        super().__init__(daemon=True)
        self.node = node
        self.every = every
        self.over = threading.Event()
        self.mib = {}
        self.anon = 0

    def __enter__(self):
        Path(f"/proc/{self.node}/clear_refs").write_text("5", encoding="utf-8")
        self.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.join()

    def run(self):
        while not self.over.wait(self.every):
            for pid in tree_of(self.node):
                with contextlib.suppress(OSError):
                    kib, anon = status_field(f"/proc/{pid}/status", "VmHWM", "RssAnon")
                    if pid == self.node:
                        self.anon = max(self.anon, anon / 1024)
                    mine = role(pid, self.node)
                    self.mib[mine] = max(self.mib.get(mine, 0), kib / 1024)


COLD_TRIP = "tiny message, whole round trip"
# Of a node whose Python has imported what apps need; the other rows have each app start one.
WARM_TRIP = "tiny message, warm, whole round trip"
WARM_IDLE = "... warm, to a node that was idle: pulled to reply"
WARM_RATE = "... warm, one after the other"
WARM_KILL = "... warm, app killed to error reply"
WARM_PSS = "idle after messages, warm: shared pages divided (PSS)"


def warm_figures(goal):
    """Rows; goal: of the round trip."""
    return [
        (WARM_TRIP, "ms", goal),
        (WARM_IDLE, "ms", ""),
        (WARM_RATE, "1/s", "30"),
        (WARM_PSS, "MiB", "Python's"),
    ]


class Rounds:
    """Nodes that are started one after the other, and what was seen of them."""

    # figure, unit, what is to be reached
    FIGURES = []
    MEMORY = ("resident (RSS)", "anonymous (RssAnon)")
    certificates = None  # of the stand-in
    transport = None  # the option that names it

    def __init__(self, options, environment, binaries, folder, standin):
        self.options = options
        self.environment = environment
        self.binaries = binaries
        self.folder = folder
        self.standin = standin
        self.values = {}
        self.number = 0

    def add(self, figure, programs, value):
        assert any(figure == name for name, *_ in self.FIGURES)
        self.values.setdefault((figure, programs), []).append(value)

    def start(self, programs, figure="start to registered", **options):
        """A node of its own federation, registered: (federation, node)."""
        self.standin.forget()
        self.number += 1
        folder = self.folder / str(self.number)
        federation = Federation(folder, self.environment, self.binaries, programs)
        federation.certificates = self.certificates
        if self.transport:
            options[self.transport] = True
        if programs == "ours":
            options.setdefault("--log-level", "info")
            options.setdefault("--preload", "none")
            if self.options.sandbox:
                options.setdefault("--sandbox", self.options.sandbox)
        if programs == "ours" and self.options.native:
            library = self.binaries.parent / "tests/bench-app.so"
            options |= {"--native-app": f"flwr-native/tiny={library}", "--python": None}
        before = time.time()
        node = federation.start_node(superlink=self.standin.address, wait=False, options=options)
        registered = self.standin.wait_online(60)
        if figure:
            self.add(figure, programs, (registered - before) * 1e3)
        return federation, node

    def idle(self, programs, node):
        time.sleep(self.options.settle)  # what is measured is time without events
        whole = node.popen.pid  # with the reaper, if there is one
        for figure, mib in zip(self.MEMORY, memory(whole)):
            self.add(f"idle, {figure}", programs, mib)
        before = effort(whole)
        start = time.monotonic()
        time.sleep(self.options.idle)
        after = effort(whole)
        elapsed = time.monotonic() - start
        self.add("idle CPU", programs, 100 * (after[0] - before[0]) / elapsed)
        self.add("idle context switches", programs, (after[1] - before[1]) / elapsed)

    def back_to_back(self, programs):
        """The next message is ready when the reply of the last one has come: (when it was, when it was
        pulled, reply) of each."""
        standin = self.standin
        ready = {}
        wanted = self.options.messages + 2  # the first ones fetch and install the app

        def next_one(came):
            if len(ready) < wanted:
                ready[standin.send(sit="").id] = came

        standin.on_reply = next_one
        next_one(time.time())
        standin.wait(
            lambda: len(ready) == wanted and all(map(standin.replies_to, ready)), "replies", 120
        )
        standin.on_reply = None
        for message in list(ready)[2:]:
            reply = standin.wait_reply(message)
            standin.check(programs, reply)
            yield ready[message], standin.parcels[message].pulled, reply

    def messages(self, programs):
        for ready, pulled, reply in self.back_to_back(programs):
            began, ended = self.standin.times(reply)
            self.add(COLD_TRIP, programs, (reply.came - ready) * 1e3)
            self.add("... ready to pulled", programs, (pulled - ready) * 1e3)
            self.add("... pulled to user code", programs, (began - pulled) * 1e3)
            self.add("... user code to reply", programs, (reply.came - ended) * 1e3)

    def warm(self, programs):
        """A node of its own, that has had a message a while ago."""
        more = {"--preload": "numpy"} if programs == "ours" else {}
        federation, node = self.start(programs, None, **more)
        try:
            for _ in range(2):  # after the first it has a Python, after the second what the app imports
                self.alone(programs)
                time.sleep(5)
            self.alone(programs)
            trips = list(self.back_to_back(programs))
            for ready, _, reply in trips:
                self.add(WARM_TRIP, programs, (reply.came - ready) * 1e3)
            elapsed = trips[-1][2].came - trips[0][0]
            self.add(WARM_RATE, programs, len(trips) / elapsed)
            for _ in range(min(self.options.messages, 10)):
                time.sleep(1)
                message, reply = self.alone(programs)
                self.add(WARM_IDLE, programs, (reply.came - message.pulled) * 1e3)
            time.sleep(2)
            self.add(WARM_PSS, programs, memory(node.popen.pid)[2])
            self.when_warm(programs, federation, node)
        except Exception:
            print(node.text()[-5000:], file=sys.stderr)
            raise
        finally:
            federation.end()

    def when_warm(self, programs, federation, node):
        """A subclass may do more with a node that is warm, as the last thing."""

    def alone(self, programs):
        """A tiny message: it, its reply."""
        message = self.standin.send(sit="")
        reply = self.standin.wait_reply(message.id, 120)
        self.standin.check(programs, reply)
        return message, reply

    def kill(self, programs, federation, node, victim, figure="{} killed to error reply"):
        """SIGKILL for the process of this role while the app is at work, until the error reply; when
        both were."""
        file = federation.folder / f"{victim}.pid"
        file.unlink(missing_ok=True)
        message = self.standin.send(sit=str(file))
        wait_until(file.exists, "the app is at work", 60)
        pid = int(file.read_text(encoding="utf-8"))
        if victim == "worker" and programs == "ours":
            pid = int(re.findall(r"worker started: .*pid=(\d+)", node.text())[-1])
        killed = time.time()
        os.kill(pid, signal.SIGKILL)
        reply = self.standin.wait_reply(message.id, 60)
        if not reply.message.HasField("error"):
            raise RuntimeError(f"{programs}: a killed {victim} gave a result")
        if figure:
            self.add(figure.format(victim), programs, (reply.came - killed) * 1e3)
        return killed, reply.came

    def kill_app_of(self, clientapp, federation, node):
        """Kill the app of a worker of ours that runs by itself: ms until its node has the error reply, and
        until the SuperLink has it."""
        killed, came = self.kill("ours", federation, node, "app", None)

        def answered():
            """When it was: lines of messages before may come late."""
            said = re.findall(r"(?m)^(\S+) .* message \d+ is answered$", clientapp.text())
            times = [datetime.fromisoformat(each).timestamp() for each in said]
            return next((each for each in times if each >= killed), None)

        its = wait_until(answered, "the worker says that it has answered")
        return (its - killed) * 1e3, (came - killed) * 1e3

    def only(self, goals):
        """The figures that were measured; goals: of those that have another one here."""
        seen = {figure for figure, _ in self.values}
        return [
            (figure, unit, goals.get(figure, goal))
            for figure, unit, goal in self.FIGURES
            if figure in seen
        ]

    def restarts(self, programs):
        """Starting is short: more of it for the same time."""
        federation, _ = self.start(programs)
        federation.end()


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


def table(bench, release, instead=None):
    """Lines; instead: figures, by how they begin, for which Python's have another one."""
    lines = [
        f"| figure | Python's {release} | ours | ours / Python's | to reach |",
        "|---|---|---|---|---|",
    ]
    for figure, unit, goal in bench.FIGURES:
        theirs, ours = (bench.values.get((figure, each), []) for each in ("python", "ours"))
        for begin, other in (instead or {}).items():
            if figure.startswith(begin):
                theirs = bench.values.get((other, "python"), [])
        ratio = "-"
        if theirs and ours and statistics.median(theirs):
            ratio = f"{statistics.median(ours) / statistics.median(theirs):.3f}"
        lines.append(f"| {figure}, {unit} | {cell(theirs)} | {cell(ours)} | {ratio} | {goal} |")
    return lines


def parse(description):
    parser = argparse.ArgumentParser(prog="scripts/bench", description=description)
    parser.add_argument("--runs", type=int, help="runs of each (3; with --transports 2)")
    parser.add_argument("--messages", type=int, default=6, help="messages a run (6)")
    parser.add_argument("--idle", type=float, default=20, help="seconds to watch an idle node (20)")
    parser.add_argument("--settle", type=float, default=30, help="seconds before that (30)")
    parser.add_argument("--large", type=int, default=256, help="MiB of the large message (256)")
    parser.add_argument(
        "--huge", type=int, default=1024, help="MiB of another one, with objects; 0: none (1024)"
    )
    parser.add_argument("--programs", choices=PROGRAMS, help="only these")
    parser.add_argument("--release", choices=("1.15", "1.41"), help="only beside this one's")
    parser.add_argument(
        "--transports", action="store_true", help="instead: each transport of 1.15, and gRPC itself"
    )
    parser.add_argument(
        "--slots", action="store_true", help="instead: messages a second with 1, 2 and 4 workers"
    )
    parser.add_argument(
        "--fleet", type=int, default=0, metavar="N", help="instead: N nodes that are started at once"
    )
    parser.add_argument(
        "--fleet-python", type=int, default=20, metavar="N", help="of Python's N at most (20)"
    )
    parser.add_argument(
        "--native", action="store_true", help="ours with an app in C, and clients in C"
    )
    parser.add_argument(
        "--workers", action="store_true", help="process isolation: each node with each worker; floods"
    )
    parser.add_argument(
        "--flood", type=float, default=30, help="seconds of each flood; 0: none (30)"
    )
    parser.add_argument(
        "--floods", metavar="NAME,...", help="of --workers --release 1.15 these floods alone"
    )
    parser.add_argument("--only-calls", action="store_true", help="of --transports gRPC's calls alone")
    parser.add_argument(
        "--images", action="store_true", help="instead: the images of docker/, pulled and run"
    )
    parser.add_argument(
        "--warm", action="store_true", help="only messages of a node whose Python is warm"
    )
    parser.add_argument(
        "--torch", action="store_true", help="of an app that imports torch, with --warm; also cold"
    )
    parser.add_argument(
        "--sandbox", choices=("node", "strict", "off"), help="the cage of our node's apps"
    )
    parser.add_argument("--only-large", action="store_true", help="of 1.41 only large messages")
    parser.add_argument("--write", type=Path, metavar="FILE", help="the table, also to a file")
    parser.add_argument("--check", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.runs is None:
        options.runs = 2 if options.transports else 3
    if options.torch and not options.warm:
        parser.error("--torch goes with --warm")
    if options.runs < 1 or options.messages < 1:
        parser.error("--runs and --messages are 1 or more")
    return options
