"""Process isolation: SuperNode and worker, each Python's or ours; what the door of our worker API costs;
and what floods do to it. Run by the python of 1.15.2 or, for the pairs alone, of 1.41.0."""

import shlex
import statistics
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from . import floods_http
from .floods import FLOODS, MORE, flooding
from .measure import Peaks, build_fab, cell, machine, number, status_field
from .processes import Late, free_ports, wait_until

PLAIN = "ours, plain"  # our worker, each app of which is a python3 that starts plainly
PAIRS = [(node, worker) for node in ("python", "ours") for worker in ("python", "ours")]
PAIRS.insert(-1, ("ours", PLAIN))
PEERS = (1, 20)  # connections of a flood
AFTERWARDS_S = 10
BETWEEN_CALLS_S = 0.05
LARGE = 3  # messages of a run that count
WARM = {"--preload": "numpy"}  # whoever starts the apps
GET = "/flwr.proto.ClientAppIo/GetToken"

PAIR = [
    ("message at the node to user code", "ms"),
    ("whole round trip", "ms"),
    ("app killed to error reply", "ms"),
    ("... until the node has it, of our worker", "ms"),
]
DOOR = [
    ("large message there and back", "MiB/s"),
    ("tiny message, whole round trip", "ms"),
]


class Pairs:
    """A node and the worker that comes to it; a mixin of a Bench."""

    FIGURES = [(figure, unit, "") for figure, unit in [*PAIR, *DOOR]]

    def add(self, figure, programs, value):
        """What these tables have no row for is left out."""
        if any(figure == name for name, *_ in self.FIGURES):
            super().add(figure, programs, value)

    def start_pair(self, node, worker):
        """(federation, the node, the address of its worker API), the worker at work."""
        (port,) = free_ports(1)
        address = f"127.0.0.1:{port}"
        # Python's has ports that it would choose itself, unless it is told another one.
        where = {"--clientappio-api-address": address}
        federation, started = self.start(
            node,
            None,
            **{"--isolation": "process"},
            **(where if node == "ours" else self.release.supernode_ports(port)),
        )
        if worker:
            self.start_worker(federation, worker, address)
        return federation, started, address

    def start_worker(self, federation, worker, address, **more):
        if worker == PLAIN:
            worker, more = "ours", {"--preload": "none", **more}
        options = {"--log-level": "info", **more} if worker == "ours" else {}
        program = "flwr-clientapp"
        if self.release.minor >= 21:  # a launcher, which starts a worker for each message
            program = "flower-superexec"
            named = "--runtime-api-address" if self.release.minor >= 36 else "--appio-api-address"
            options |= {"--clientappio-api-address": None, named: address}
            if self.release.minor <= 37:
                options["--plugin-type"] = "clientapp"
        federation.start_clientapp(address, options, worker, program)

    def pair(self, node, worker):
        federation, started, _ = self.start_pair(node, worker)
        try:
            for ready, pulled, reply in self.back_to_back(node):
                began, _ = self.standin.times(reply)
                self.add("message at the node to user code", (node, worker), (began - pulled) * 1e3)
                self.add("whole round trip", (node, worker), (reply.came - ready) * 1e3)
            if (node, worker) != ("python", "python"):  # which says nothing for a minute, or at all
                self.kill_once((node, worker), federation, started)
        except Exception:
            print(started.text()[-5000:], file=sys.stderr)
            raise
        finally:
            federation.end()

    def kill_once(self, pair, federation, started):
        """The app, which in Python's worker is the worker; its node notices the end of that itself."""
        if pair[1] != "python":
            answered, came = self.kill_app_of(federation.clientapps[-1], federation, started)
            self.add("... until the node has it, of our worker", pair, answered)
        else:
            killed, replied = self.kill("python", federation, started, "app", None)
            came = (replied - killed) * 1e3
        self.add("app killed to error reply", pair, came)

    def pairs(self, programs):
        for run in range(self.options.runs):
            for pair in PAIRS:
                if set(pair) <= {*programs, PLAIN}:
                    say(f"{self.release}, run {run + 1} of {self.options.runs}: {named(*pair)}")
                    self.pair(*pair)

    @property
    def release(self):
        from .release import Release

        return Release(self.environment)


def named(node, worker):
    whose = {"python": "Python's", "ours": "our", PLAIN: "our"}
    more = ", plain python3" if worker == PLAIN else ""
    return f"{whose[node]} node, {whose[worker]} worker{more}"


def pairs_table(bench):
    """Lines; the ratios: ours, plain and warm, to Python's."""
    names = [*(named(*pair) for pair in PAIRS), "plain / Python's", "ours / Python's"]
    lines = [f"| {bench.release} | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    for figure, unit in PAIR:
        values = [bench.values.get((figure, pair), []) for pair in PAIRS]
        cells = [*map(cell, values), *(ratio_of(each, values[0]) for each in values[-2:])]
        lines.append(f"| {figure}, {unit} | {' | '.join(cells)} |")
    return lines


def ratio_of(ours, others):
    if not ours or not others:
        return "-"
    return f"{statistics.median(ours) / statistics.median(others):.3f}"


# ---- the door ----


def door(bench):
    """The same messages by way of the node's private socket, which has no guard, and over TCP; apps
    are warm in both."""
    for run in range(bench.options.runs):
        for case in ("private socket", "TCP"):
            say(f"the door, run {run + 1} of {bench.options.runs}: {case}")
            if case == "TCP":
                federation, _, address = bench.start_pair("ours", None)
                bench.start_worker(federation, "ours", address, **WARM)
            else:
                federation, _ = bench.start("ours", None, **WARM)
            try:
                for ready, _, reply in bench.back_to_back(case):
                    bench.add("tiny message, whole round trip", case, (reply.came - ready) * 1e3)
                bench.there_and_back("ours", bench.options.large)
                for _ in range(LARGE):
                    moments = bench.there_and_back("ours", bench.options.large)
                    rate = 2 * bench.options.large / (moments[-1] - moments[0])
                    bench.add("large message there and back", case, rate)
            finally:
                federation.end()


def door_table(bench):
    lines = [
        "| our node and worker | private socket | TCP, past the guard | TCP / private |",
        "|---|---|---|---|",
    ]
    for figure, unit in DOOR:
        private, tcp = (bench.values.get((figure, case), []) for case in ("private socket", "TCP"))
        lines.append(f"| {figure}, {unit} | {cell(private)} | {cell(tcp)} | {ratio_of(tcp, private)} |")
    return lines


# ---- floods ----


class GoodWorker:
    """It has a message at work, and calls with its token again and again."""

    def __init__(self, standin):
        standin.send(sit="")
        self.slowest = self.lost = 0
        wait_until(self.acquire, "a message", 30)
        self.call()

    def acquire(self):
        """Is there a message now, which is this worker's?"""
        raise NotImplementedError

    def ask(self):
        """One call that needs the token; an exception: it is lost."""
        raise NotImplementedError

    def call(self):
        began = time.monotonic()
        try:
            self.ask()
        except Exception:  # of either library
            self.lost += 1
        self.slowest = max(self.slowest, time.monotonic() - began)

    def work(self, seconds):
        self.slowest = self.lost = 0
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.call()
            time.sleep(BETWEEN_CALLS_S)


class GrpcWorker(GoodWorker):
    """As of 1.15: it asks for its inputs."""

    def __init__(self, address, standin):
        import grpc
        from flwr.proto import clientappio_pb2
        from flwr.proto.clientappio_pb2_grpc import ClientAppIoStub

        self.api = clientappio_pb2
        self.failure = grpc.RpcError
        self.channel = grpc.insecure_channel(address, [("grpc.use_local_subchannel_pool", 1)])
        self.stub = ClientAppIoStub(self.channel)
        super().__init__(standin)

    def acquire(self):
        try:
            token = self.stub.GetToken(self.api.GetTokenRequest(), timeout=5).token
        except self.failure:
            return False
        self.request = self.api.PullClientAppInputsRequest(token=token)
        return bool(token)

    def ask(self):
        self.stub.PullClientAppInputs(self.request, timeout=10)


class HttpWorker(GoodWorker):
    """As of 1.41: it sends heartbeats."""

    def __init__(self, address, standin):
        self.address = address
        self.launcher = self.client()
        super().__init__(standin)

    def client(self, *more):
        from flwr.supercore.interceptors import RuntimeVersionHttpInterceptor
        from flwr.supercore.runtime import RuntimeHttpClient

        return RuntimeHttpClient.from_server_address(
            self.address, True, None, [RuntimeVersionHttpInterceptor("flwr-clientapp"), *more]
        )

    def acquire(self):
        import httpx
        from flwr.proto.runtime_pb2 import AcquireTaskRequest
        from flwr.supercore.interceptors import RuntimeTokenHttpInterceptor

        try:
            request = AcquireTaskRequest(supported_task_types=["flwr-clientapp"])
            token = self.launcher.AcquireTask(request).token
        except httpx.HTTPError:
            return False
        if token:
            self.worker = self.client(RuntimeTokenHttpInterceptor(token))
        return bool(token)

    def ask(self):
        from flwr.proto.runtime_pb2 import SendTaskHeartbeatRequest

        self.worker.SendTaskHeartbeat(SendTaskHeartbeatRequest())


def flood(bench, programs, good, flooded, peers):
    """flooded: flooding() of an address by so many peers for so many seconds. (peak above idle, afterwards above idle, in MiB; slowest good call in ms; calls lost); None: the
    node has ended, or answers no more."""
    federation, node, address = bench.start_pair(programs, None)
    try:
        worker = good(address, bench.standin)
        (idle,) = status_field(f"/proc/{node.pid}/status", "VmRSS")
        with Peaks(node.pid) as peaks:
            with flooded(address, peers, bench.options.flood):
                worker.work(bench.options.flood)
        time.sleep(AFTERWARDS_S)
        if not node.running():
            return None
        (after,) = status_field(f"/proc/{node.pid}/status", "VmRSS")
        peak = peaks.mib["supervisor"] - idle / 1024
        return peak, (after - idle) / 1024, worker.slowest * 1e3, worker.lost
    except Late:
        return None
    finally:
        federation.end()


def of_streams(make, address, peers, seconds):
    return flooding(address, GET, make, peers, seconds)


def floods(bench, programs, good, kinds):
    """Lines; kinds: {name: as flood() takes it}."""
    lines = [
        "",
        f"Floods of {bench.options.flood:g} s, a new node for each, beside {bench.release}:",
        "",
        "| flood | connections | node | peak above idle, MiB | 10 s afterwards, MiB | slowest good call, ms | good calls lost |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, flooded in kinds.items():
        for peers in PEERS:
            for each in programs:
                say(f"flood {name}, {peers} connections: {each}")
                seen = flood(bench, each, good, flooded, peers)
                cells = [number(value) for value in seen[:3]] + [str(seen[3])] if seen else ["-"] * 4
                lines.append(f"| {name} | {peers} | {each} | {' | '.join(cells)} |")
    return lines


def say(text):
    print(text, file=sys.stderr, flush=True)


def run(options, programs, binaries):
    """The tables beside 1.15.2, as lines."""
    from .bench import APP, ROOT, Bench
    from .standin import PlainStandIn
    from .superlink.grpc_link import GrpcLink

    class Workers(Pairs, Bench):
        """Both."""

    environment = ROOT / "build/python/flower-1.15.2"
    standin = PlainStandIn(GrpcLink, build_fab(environment, APP))
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        bench = Workers(options, environment, binaries, Path(folder), standin)
        kinds = {name: partial(of_streams, make) for name, make in {**FLOODS, **MORE}.items()}
        if options.floods:
            kinds = {name: kinds[name] for name in options.floods.split(",")}
            lines = [head(options)]
        else:
            bench.pairs(programs)
            lines = [head(options), "", *pairs_table(bench)]
            if "ours" in programs:
                door(bench)
                lines += ["", *door_table(bench)]
        if options.flood:
            lines += floods(bench, programs, GrpcWorker, kinds)
    standin.close()
    return lines


def run_newest(options, programs, binaries):
    """The pairs and floods of HTTP/1.1 beside 1.41.0, as lines."""
    from .bench_http import APP, ROOT, Bench
    from .standin_objects import ObjectsStandIn

    class Workers(Pairs, Bench):
        """Both."""

    environment = ROOT / "build/python/flower-1.41.0"
    options.large = options.huge = 0
    standin = ObjectsStandIn(build_fab(environment, APP))
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        bench = Workers(options, environment, binaries, Path(folder), standin)
        bench.FIGURES = Pairs.FIGURES
        bench.pairs(programs)
        lines = pairs_table(bench)
        if options.flood:
            names = {**floods_http.FLOODS, **floods_http.HOLDING}
            kinds = {name: partial(floods_http.flooding, name) for name in names}
            lines += floods(bench, programs, HttpWorker, kinds)
    standin.close()
    return lines


def head(options):
    return (
        f"Medians (smallest - largest) of {options.runs} runs in turn, {options.messages} messages "
        f"each, by `{shlex.join(['scripts/bench', *sys.argv[1:]])}` on {machine()}."
    )
