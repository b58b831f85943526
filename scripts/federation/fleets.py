"""Many nodes that are started at once on one machine: how long they take, and what they have together."""

import shlex
import signal
import sys
import tempfile
import time
from pathlib import Path

from .measure import Rounds, build_fab, effort, machine, memory, table
from .peers import Federation
from .standin import PlainStandIn
from .superlink.grpc_link import GrpcLink

ROOT = Path(__file__).resolve().parents[2]
APP = Path(__file__).parent / "tiny"

START = "started at once: until all are registered, a node"
CPU = "... CPU time until then, a node"
MEMORY = "... shared pages divided (PSS), a node"
ALL = "... shared pages divided (PSS), all of them"
FIGURES = [
    (START, "ms", "1/20 of Python's"),
    (CPU, "ms", ""),
    (MEMORY, "MiB", ""),
    (ALL, "MiB", ""),
]


class FleetStandIn(PlainStandIn):
    """A SuperLink of Flower 1.15 with many nodes."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.moments = []

    def forget(self):
        super().forget()
        self.moments = []

    def enter(self, node_id):
        super().enter(node_id)
        self.moments.append(self.online)

    def Ping(self, request, response):
        response.success = True

    def wait_all(self, number, seconds):
        """When the last of so many has come."""
        self.wait(lambda: len(self.moments) >= number, f"{number} nodes", seconds)
        return self.moments[number - 1]


class Fleets(Rounds):
    FIGURES = FIGURES

    def fleet(self, programs, number):
        self.standin.forget()
        self.number += 1
        folder = self.folder / str(self.number)
        federation = Federation(folder, self.environment, self.binaries, programs)
        commands = []
        for _ in range(number):
            name = federation.name("supernode")
            options = {"--log-level": "info"} if programs == "ours" else None
            argv = federation.node_argv(self.standin.address, None, options, programs)
            commands.append((name, argv, federation.environ(name)))
        try:
            before = time.time()
            nodes = [federation.start(*command) for command in commands]
            registered = self.standin.wait_all(number, 60 + 5 * number)
            seconds = sum(effort(node.popen.pid)[0] for node in nodes)
            self.add(START, programs, (registered - before) * 1e3 / number)
            self.add(CPU, programs, seconds * 1e3 / number)
            time.sleep(self.options.settle)
            mib = sum(memory(node.popen.pid)[2] for node in nodes)
            self.add(MEMORY, programs, mib / number)
            self.add(ALL, programs, mib)
            for node in nodes:
                node.signal(signal.SIGTERM)
        finally:
            federation.end()


def run(options, programs, binaries):
    """The table, as lines."""
    environment = ROOT / "build/python/flower-1.15.2"
    sizes = {"ours": options.fleet, "python": min(options.fleet, options.fleet_python)}
    standin = FleetStandIn(GrpcLink, build_fab(environment, APP))
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        fleets = Fleets(options, environment, binaries, Path(folder), standin)
        for number in range(options.runs):
            for each in programs:
                print(f"run {number + 1} of {options.runs}: {each}", file=sys.stderr, flush=True)
                fleets.fleet(each, sizes[each])
    standin.close()
    return [
        f"Medians (smallest - largest) of {options.runs} runs in turn, {sizes['ours']} nodes of ours, "
        f"{sizes['python']} of Python's, by `{shlex.join(['scripts/bench', *sys.argv[1:]])}` on "
        f"{machine()}.",
        "",
        *table(fleets, "1.15.2"),
    ]
