"""libflwr in programs at flwr.server.start_server, and at servers that misbehave: library-client
(tests/kit) and the examples."""

import contextlib
import io
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent import futures
from pathlib import Path

import grpc
import numpy
import pytest
from federation.credentials import Certificates, NodeKey
from federation.processes import free_ports, wait_until
from federation.standin import PlainStandIn
from federation.superlink.grpc_link import GrpcLink
from federation.superlink.http_link import RestLink
from flwr.proto.transport_pb2 import Reason, Scalar, ServerMessage
from test_bidi import dismiss, fit, judged, properties, reconnect, result_of, server

SECONDS = 60
BUILD = Path(os.environ["FLWR_BIN_DIR"]).parent
OK = ["OK", "Success"]
SANITIZED = os.environ.get("FLWR_SANITIZE") == "1"


class Program:
    """A program of the library's, and what it has written."""

    def __init__(self, folder, argv, env=None):
        Program.number += 1
        self.log = Path(folder) / f"program-{Program.number}.log"
        with self.log.open("wb") as file:
            self.process = subprocess.Popen(
                [str(word) for word in argv], stdout=file, stderr=file, stdin=subprocess.DEVNULL, env=env
            )

    number = 0

    def text(self):
        return self.log.read_text(encoding="utf-8", errors="replace")

    def wait(self, seconds=SECONDS):
        return self.process.wait(seconds)

    def wait_line(self, text, seconds=SECONDS):
        def seen():
            assert text in self.text() or self.process.poll() is None, self.text()
            return text in self.text()

        wait_until(seen, text, seconds)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.wait()

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


@pytest.fixture
def start(tmp_path):
    programs = []

    def start(*argv, env=None):
        programs.append(Program(tmp_path, argv, env))
        return programs[-1]

    yield start
    for program in programs:
        program.end()
        print(f"--- {program.log}:\n{program.text()[-5000:]}")
        assert "AddressSanitizer" not in program.text() and "runtime error" not in program.text()


@pytest.fixture
def client(start):
    def client(address, *words):
        return start(BUILD / "tests/library-client", address, *words)

    return client


def example(name):
    return BUILD / "examples/bin" / name


# ---- flwr.server.start_server ----


@pytest.mark.parametrize("release, mode, secure", [
    ("1.15.2", "client", None),
    ("1.15.2", "numpy", "ca"),
    ("1.41.0", "fn", None),
    ("1.41.0", "numpy", "capem"),
])
def test_start_server(client, tmp_path, release, mode, secure):
    """Ten clients at once, which come before the server: every method, FedAvg, state. Certificates
    come as a file or as text."""
    number, rounds = 10, 2
    (port,) = free_ports(1)
    files = Certificates(tmp_path) if secure else None
    words = [f"mode={mode}"]
    if secure:
        words.append(f"ca={files.authority}" if secure == "ca" else f"capem={files.authority.read_text()}")
    clients = [client(f"127.0.0.1:{port}", *words) for _ in range(number)]
    clients[0].wait_line("trying again")
    seen = result_of(server(release, port, number, rounds, *([str(tmp_path)] if secure else [])))
    assert [each.wait() for each in clients] == [0] * number
    assert seen["failures"] == 0
    assert seen["properties"] == [[OK, {"adds": 1.0}]] * number * rounds
    zeros = [[[0.0] * 3] * 2, [0.0] * 4]
    assert seen["parameters"] == [[OK, zeros]] * number * rounds
    assert seen["fit"] == [[[OK, 10, {"round": 0, "step": 1}]] * number] * rounds
    assert seen["model"] == [[[float(rounds)] * 3] * 2, [float(rounds)] * 4]
    assert seen["losses"] == [[n + 1, float(n + 1)] for n in range(rounds)]
    # One of them was asked for the first parameters, too.
    counts = [sorted(res[2]["messages"] for res in each) for each in seen["evaluate"]]
    assert counts == [[4] * 9 + [5], [8] * 9 + [9]]
    for each in clients:
        text = each.text()
        assert text.count("is deprecated") == 1
        assert "Disconnect and shut down" in text
        # Two calls to get_parameters, and another one of whom was asked for the first ones.
        if mode == "fn":
            assert text.rstrip().endswith(("released 10", "released 12")), text
        else:
            assert text.rstrip().endswith(("released 2", "released 3")), text


def test_nobody_is_there(client):
    (port,) = free_ports(1)
    for words in (["retries=-1"], ["retries=2"], ["wait=0.5"], ["transport=grpc-rere", "wait=0.5"]):
        started = time.monotonic()
        each = client(f"127.0.0.1:{port}", *words)
        assert each.wait() == 1
        assert "error FLWR_E_CONNECT: " in each.text(), each.text()
        assert f"127.0.0.1:{port}" in each.text()
        assert time.monotonic() - started < 20


def test_prints_nothing(client, tmp_path):
    """Without a log callback there is not one line, not even of gRPC."""
    port, nobody = free_ports(2)
    Certificates(tmp_path / "server")
    other = Certificates(tmp_path / "other")
    process = server("1.15.2", port, 1, 1, str(tmp_path / "server"))
    try:
        wait_until(lambda: socket.socket().connect_ex(("127.0.0.1", port)) == 0, "server", SECONDS)
        for at, words in ((port, [f"ca={other.authority}"]), (port, []), (nobody, ["transport=grpc-rere"])):
            each = client(f"127.0.0.1:{at}", "quiet=1", "retries=2", *words)
            assert each.wait() == 1
            (error, released) = each.text().splitlines()
            assert error.startswith("error FLWR_E_CONNECT: ") and released == "released 0"
    finally:
        process.kill()
        process.communicate()


@contextlib.contextmanager
def look_at_host(start, tmp_path, address, transport):
    """What library-host has found out about itself; it prints nothing."""
    file = tmp_path / "found"
    each = start(BUILD / "tests/library-host", address, transport, file)
    yield
    assert each.wait() == 0
    assert each.text() == ""
    assert file.read_text(encoding="utf-8").splitlines() == ["done: FLWR_OK, with lines"]


def test_the_program_stays_as_it_is(start, tmp_path):
    """In a method and afterwards: working directory, signals, locale, umask, environment, limits;
    no processes; nothing on stdout and stderr."""

    def join(number, messages, context):
        yield fit(saved(numpy.zeros(2)))
        next(messages)
        yield from dismiss(messages)

    with judged(join) as judge, look_at_host(start, tmp_path, judge.target, "grpc-bidi"):
        pass


def test_the_program_of_a_node_stays_as_it_is(start, tmp_path):
    """At SuperLinks, with flwr_node_...(); both at the same time, since they leave slowly."""
    superlinks = {
        "grpc-rere": PlainStandIn(GrpcLink, ("", b"")),
        "rest": PlainStandIn(RestLink, ("", b"")),
    }
    try:
        with contextlib.ExitStack() as stack:
            for transport, superlink in superlinks.items():
                folder = tmp_path / transport
                folder.mkdir()
                stack.enter_context(look_at_host(start, folder, superlink.address, transport))
            for superlink in superlinks.values():
                superlink.wait_online()
                superlink.send_fit()
    finally:
        for superlink in superlinks.values():
            superlink.close()


@pytest.mark.parametrize("words, said", [
    (["mode=none"], "FLWR_E_ARGUMENT: Both `client_fn` and `client` are `None`, but one is required"),
    (["transport=none"], "FLWR_E_ARGUMENT: Unknown transport type: none"),
    (["transport=rest"], "FLWR_E_ARGUMENT: When using the REST API"),
    (["ca=/nowhere"], "FLWR_E_FILE: root certificates: "),
    (["key=/nowhere"], "FLWR_E_FILE: authentication key: "),
    (["mode=app"], "FLWR_E_ARGUMENT: options.app is for flwr_node_new()"),
    (["mode=app", "nodes=1"], "FLWR_E_ARGUMENT: options.app needs a transport of SuperLinks"),
])
def test_wrong_options(client, words, said):
    each = client("127.0.0.1:1", *words)
    assert each.wait() == 1
    assert f"error {said}" in each.text()


COMMA = """\
comment_char %
escape_char /
LC_NUMERIC
decimal_point ","
thousands_sep ""
grouping -1
END LC_NUMERIC
"""


@pytest.mark.skipif(SANITIZED, reason="setlocale() of the C library loses the words of LOCPATH")
@pytest.mark.skipif(not shutil.which("localedef"), reason="no localedef")
def test_a_locale_with_commas(start, tmp_path):
    """Numbers in node_config and in sentences are written with a point, wherever the program is."""
    (tmp_path / "comma").write_text(COMMA)
    # Exit status 1: other categories are missing.
    subprocess.run(["localedef", "-c", "-i", "./comma", "-f", "ANSI_X3.4-1968", tmp_path / "xx"], cwd=tmp_path)
    env = {**os.environ, "LOCPATH": str(tmp_path), "LC_NUMERIC": "xx"}
    env.pop("LC_ALL", None)
    assert "1,5" in subprocess.run(["printf", "%.1f", "1,5"], env=env, capture_output=True, text=True).stdout

    def join(number, messages, context):
        yield properties()
        assert next(messages).get_properties_res.properties["adds"].double == 7.0
        message = ServerMessage.FromString(fit(saved(numpy.zeros(2))))
        message.fit_ins.config["round"].CopyFrom(Scalar(double=0.5))
        yield message.SerializeToString()
        list(messages)

    odd = "1.50000000000000000000000000000e400"  # the TOML library does not take it as it is
    with judged(join) as judge:
        words = ["nodes=1", f"config=partition-id=6 x={odd}"]
        each = start(BUILD / "tests/library-client", judge.target, *words, env=env)
        assert each.wait() == 1
        assert 'error FLWR_E_APP: fitins.config "round" is a float (0.5), not an int' in each.text()


def test_reconnect(client):
    """It leaves for as long as it is told, and comes back by itself, with its state."""
    counts = []

    def join(number, messages, context):
        yield properties()
        counts.append(next(messages).get_properties_res.properties["adds"].double)
        if number == 1:
            yield reconnect(1)
            assert next(messages).disconnect_res.reason == Reason.RECONNECT
            assert list(messages) == []
            return
        yield from dismiss(messages)

    with judged(join) as judge:
        each = client(judge.target, "nodes=1", "config=partition-id=6")
        assert each.wait() == 0
        assert judge.joined == 2 and counts == [7.0, 7.0]
        assert "come back in 1 s" in each.text()


def test_a_method_fails(client):
    """There are no error replies: the client ends, as Flower's."""

    def join(number, messages, context):
        yield properties()
        list(messages)

    with judged(join) as judge:
        each = client(judge.target, "fail=get_properties")
        assert each.wait() == 1
        assert each.text().count("error FLWR_E_APP: no data on this device") == 1
        assert judge.joined == 1


def test_no_pickles(client):
    """A tensor that is no array of numbers does not reach a NumPy client."""

    def join(number, messages, context):
        yield fit(b"\x80\x04K\x01.")
        list(messages)

    with judged(join) as judge:
        each = client(judge.target, "mode=numpy")
        assert each.wait() == 1
        assert "error FLWR_E_DATA: " in each.text()


def test_a_key_has_no_use(client, tmp_path):
    """There are no keys over this stream: a warning says so, in Flower's words, and it serves."""
    key = NodeKey(tmp_path / "key")
    with judged(lambda number, messages, context: dismiss(messages)) as judge:
        each = client(judge.target, f"key={key.private}")
        assert each.wait() == 0
        warned = r"WARN .*Client authentication is not supported for this transport type\."
        assert len(re.findall(warned, each.text())) == 1


@pytest.mark.parametrize("message, said", [
    (fit(bytes(1000)), "FLWR_E_REFUSED: .*RESOURCE_EXHAUSTED"),
    (
        ServerMessage(get_parameters_ins=ServerMessage.GetParametersIns()).SerializeToString(),
        r"FLWR_E_APP: RESOURCE_EXHAUSTED: the reply has \d+ bytes, grpc_max_message_length allows 200",
    ),
], ids=["received", "sent"])
def test_a_message_that_is_too_large(client, message, said):
    """It ends the client, as Flower's, whichever way it goes."""

    def join(number, messages, context):
        yield message
        replies.extend(messages)

    replies = []
    with judged(join) as judge:
        each = client(judge.target, "max=200")
        assert each.wait() == 1
        assert re.search(f"error {said}", each.text()), each.text()
        assert judge.joined == 1
    assert not replies


def test_no_such_service(client):
    with judged(lambda *_: ()) as judge:
        each = client(judge.target.replace(str(judge.port), str(other_server(judge))))
        assert each.wait() == 1
        assert "error FLWR_E_REFUSED: " in each.text() and "UNIMPLEMENTED" in each.text()


def other_server(judge):
    """A server without the stream."""
    judge.other = grpc.server(futures.ThreadPoolExecutor(1))
    port = judge.other.add_insecure_port("127.0.0.1:0")
    judge.other.start()
    return port


def test_lost_at_work(client):
    """The server goes away while a method works, which is told; another one is served."""

    def first(number, messages, context):
        yield properties()
        next(messages)
        yield properties()
        judge_gone.wait(SECONDS)

    judge_gone = threading.Event()
    with judged(first) as judge:
        each = client(judge.target, "nodes=1", "work=60000", "patience=1")
        each.wait_line("get_properties begins")
        port = judge.port
        judge_gone.set()
    each.wait_line("trying again")
    with judged(lambda number, messages, context: dismiss(messages), port=port):
        assert each.wait() == 0


def test_lost_twice_at_work(client):
    """Two streams break during one method: the instruction between them is not worked on, and the
    program ends."""
    came = [threading.Event() for _ in range(3)]
    gone = [threading.Event() for _ in range(2)]

    def join(number, messages, context):
        yield properties()
        came[number - 1].set()
        if number <= len(gone):
            gone[number - 1].wait(SECONDS)
            context.abort(grpc.StatusCode.UNAVAILABLE, "not now")
        assert next(messages).WhichOneof("msg") == "get_properties_res"
        yield from dismiss(messages)

    with judged(join) as judge:
        each = client(judge.target, "nodes=1", "work=6000")
        each.wait_line("get_properties begins")
        for event in gone:
            event.set()
        assert came[2].wait(SECONDS)
        assert "ends" not in each.text()
        assert each.wait() == 0
        assert judge.joined == 3
        assert each.text().count("get_properties begins") == 2


@pytest.mark.parametrize("loop", ["run", "poll"])
def test_stopped_by_a_signal(client, loop):
    """While it waits; and while a method works, whose reply is sent."""
    replies = []

    def join(number, messages, context):
        yield properties()
        replies.append(next(messages).WhichOneof("msg"))
        replies.append(list(messages))

    with judged(join) as judge:
        each = client(judge.target, "nodes=1", f"loop={loop}", "work=60000", "patience=1")
        each.wait_line("get_properties begins")
        assert each.stop() == 0
        wait_until(lambda: len(replies) == 2, "the stream's end", SECONDS)
        assert replies == ["get_properties_res", []]
        each = client(judge.target, "nodes=1", f"loop={loop}")
        each.wait_line("Received: get_properties")
        wait_until(lambda: len(replies) >= 3, "the reply", SECONDS)
        assert each.stop() == 0


def test_stopped_without_a_server(client):
    (port,) = free_ports(1)
    each = client(f"127.0.0.1:{port}", "nodes=3")
    each.wait_line("trying again")
    assert each.stop() == 0


@pytest.mark.parametrize("loop", ["run", "poll"])
def test_a_hundred_nodes(client, loop):
    """In one process, each on a thread of its own, and all on one."""
    number = 100
    seen = []

    def join(_, messages, context):
        for _ in range(3):
            yield properties()
            seen.append(next(messages).get_properties_res.properties["adds"].double)
        yield from dismiss(messages)

    with judged(join, threads=number + 10) as judge:
        each = client(judge.target, f"nodes={number}", f"loop={loop}")
        assert each.wait(3 * SECONDS) == 0
        assert sorted(seen) == sorted([float(n + 1) for n in range(number)] * 3)


def test_a_large_model(client):
    size = (500 if os.environ.get("FLWR_TEST_LARGE") else 100) << 20
    tensor = saved(numpy.zeros(size // 8))

    def join(number, messages, context):
        yield fit(tensor)
        (result,) = next(messages).fit_res.parameters.tensors
        assert len(result) == len(tensor)
        assert result[-8:] == b"\x00\x00\x00\x00\x00\x00\xf0\x3f"  # 1.0
        yield from dismiss(messages)

    with judged(join) as judge:
        each = client(judge.target)
        assert each.wait(5 * SECONDS) == 0


# ---- examples ----

# name, what it is asked to fit
EXAMPLES = {
    "start_client": {"array": ["float64", [0, 0]], "config": {"epochs": 200}},
    "start_numpy_client": {"array": ["float32", [[8] * 3] * 2], "config": {"scale": 0.25}},
    "ctypes": {"array": ["float32", [0, 0, 0]], "config": {}},
}


def example_argv(name, address):
    if name != "ctypes":
        return [example(name), address]
    script = BUILD.parents[1] / "examples/ctypes_client.py"
    return [sys.executable, "-u", script, BUILD / "lib/libflwr.so.0", address]


@pytest.mark.parametrize("release", ["1.15.2", "1.41.0"])
def test_examples(start, release):
    """Under flwr.server.start_server, one after the other: fit, evaluate, goodbye."""
    names = [name for name in EXAMPLES if name != "ctypes" or not SANITIZED]
    (port,) = free_ports(1)
    questions = json.dumps([EXAMPLES[name] for name in names])
    process = server(release, port, questions, program="visitor_server.py")
    try:
        for name in names:
            each = start(*example_argv(name, f"127.0.0.1:{port}"))
            assert each.wait() == 0
            assert "Received: train message" in each.text()
            assert "Disconnect and shut down" in each.text()
    except BaseException:
        process.kill()
        print(process.communicate()[1][-5000:])
        raise
    seen = dict(zip(names, result_of(process)))
    ((dtype, (slope, offset)),) = seen["start_client"]["arrays"]
    assert dtype == "float64" and abs(slope - 2) < 0.1 and abs(offset - 1) < 0.1
    assert seen["start_client"]["fit"] == ["OK", 4, {"slope": slope}]
    assert seen["start_client"]["evaluate"] == ["OK", 4, {}]
    assert 0 <= seen["start_client"]["loss"] < 0.01
    assert seen["start_numpy_client"] == {
        "fit": ["OK", 10, {}],
        "arrays": [["float32", [[2.0] * 3] * 2]],
        "evaluate": ["OK", 10, {"device": "example"}],
        "loss": 6.0,
    }
    if "ctypes" in seen:
        assert seen["ctypes"]["fit"] == ["OK", 10, {}]
        assert seen["ctypes"]["arrays"] == [["float32", [1.0] * 3]]
        assert seen["ctypes"]["evaluate"][0] == "EVALUATE_NOT_IMPLEMENTED"


# ... and at a server of this test's own.


class Fitting:
    """A server that trains one array with whoever comes."""

    def __init__(self, tensor, config=None):
        self.tensor, self.config = tensor, config

    def join(self, number, messages, context):
        message = ServerMessage.FromString(fit(self.tensor))
        for key, value in (self.config or {}).items():
            message.fit_ins.config[key].CopyFrom(Scalar(sint64=value))
        yield message.SerializeToString()
        self.result = next(messages).fit_res
        yield from dismiss(messages)


def saved(array):
    file = io.BytesIO()
    numpy.save(file, array)
    return file.getvalue()


def loaded(bytes):
    return numpy.load(io.BytesIO(bytes)).tolist()


def test_example_start_client(start):
    fitting = Fitting(saved(numpy.zeros(2)), {"epochs": 200})
    with judged(fitting.join) as judge:
        each = start(example("start_client"), judge.target)
        assert each.wait() == 0
    (slope, offset) = loaded(fitting.result.parameters.tensors[0])
    assert abs(slope - 2) < 0.1 and abs(offset - 1) < 0.1
    assert fitting.result.num_examples == 4


def test_example_start_numpy_client(start):
    fitting = Fitting(saved(numpy.full((2, 3), 8, numpy.float32)))
    with judged(fitting.join) as judge:
        each = start(example("start_numpy_client"), judge.target)
        assert each.wait() == 0
    assert loaded(fitting.result.parameters.tensors[0]) == [[4.0] * 3] * 2


@pytest.mark.skipif(SANITIZED, reason="Python loads no sanitized library")
def test_example_ctypes(start):
    fitting = Fitting(saved(numpy.zeros(3, numpy.float32)))
    with judged(fitting.join) as judge:
        each = start(*example_argv("ctypes", judge.target))
        assert each.wait() == 0
        assert "Received: train message" in each.text()
    assert loaded(fitting.result.parameters.tensors[0]) == [1.0] * 3
    assert fitting.result.num_examples == 10
