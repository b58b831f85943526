"""The examples, each at grpcio's end in both directions."""

import contextlib
import math
import os
import re
import socket
import subprocess
from concurrent import futures
from pathlib import Path
from types import SimpleNamespace

import grpc
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

EXAMPLES = Path(__file__).parents[2] / "examples"
SECONDS = 60  # nothing takes that long


def built(name):
    return Path(os.environ["FLWR_BIN_DIR"]).parent / "examples/bin" / name


def messages(proto, folder, *names):
    """Python's classes of an example's messages."""
    path = folder / "set"
    command = ["protoc", f"-I{proto.parent}", "-I/usr/include", "--include_imports", f"-o{path}", proto]
    subprocess.run(command, check=True)
    files = descriptor_pb2.FileDescriptorSet.FromString(path.read_bytes())
    pool = descriptor_pool.DescriptorPool()
    for file in files.file:
        pool.Add(file)
    return [message_factory.GetMessageClass(pool.FindMessageTypeByName(name)) for name in names]


def run(name, *words):
    return subprocess.run([built(name), *words], capture_output=True, text=True, timeout=SECONDS)


@contextlib.contextmanager
def running(name, *words):
    """The server of an example; its address. It ends by SIGTERM, with status 0."""
    process = subprocess.Popen([built(name), *words], stdout=subprocess.PIPE, text=True)
    try:
        yield "127.0.0.1:" + process.stdout.readline().removeprefix("port ").strip()
        process.terminate()
        assert process.wait(SECONDS) == 0
    finally:
        process.kill()
        process.communicate()


@contextlib.contextmanager
def serving(path, handler):
    """grpcio's server with one method; its address."""
    server = grpc.server(futures.ThreadPoolExecutor(4))
    found = SimpleNamespace(service=lambda details: handler if details.method == path else None)
    server.add_generic_rpc_handlers((found,))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(0).wait()


# ---- displacement ----

DISPLACE = "/displacement.Spring/Displace"
LOADS = [(10, 400), (-2.5, 1e-3), (0, 1), (1e300, 1e-5), (1, 3)]
NO_SPRING = "stiffness must be above 0 N/m"


@pytest.fixture
def spring(tmp_path):
    names = ("displacement.Load", "displacement.Displacement")
    return messages(EXAMPLES / "displacement/displacement.proto", tmp_path, *names)


def test_displacement_server(spring):
    Load, Displacement = spring
    with running("displacement-server", "127.0.0.1:0") as address, grpc.insecure_channel(address) as channel:
        displace = channel.unary_unary(DISPLACE, Load.SerializeToString, Displacement.FromString)
        for force, stiffness in LOADS:
            answer = displace(Load(force=force, stiffness=stiffness), timeout=SECONDS)
            assert answer.length == force / stiffness
        for stiffness in (0, -1, math.nan):
            with pytest.raises(grpc.RpcError) as wrong:
                displace(Load(force=1, stiffness=stiffness), timeout=SECONDS)
            assert wrong.value.code() == grpc.StatusCode.INVALID_ARGUMENT
            assert wrong.value.details() == NO_SPRING
        with pytest.raises(grpc.RpcError) as wrong:
            channel.unary_unary(DISPLACE)(b"\xff\xff", timeout=SECONDS)
        assert wrong.value.details() == "not a Load"


def test_displacement_client(spring):
    Load, Displacement = spring
    asked = []

    def displace(load, context):
        asked.append((load.force, load.stiffness))
        if not load.stiffness > 0:
            if load.stiffness < 0:
                return b"\xff\xff"
            context.abort(grpc.StatusCode.OUT_OF_RANGE, "no\nspring")
        return Displacement(length=load.force / load.stiffness).SerializeToString()

    handler = grpc.unary_unary_rpc_method_handler(displace, Load.FromString)
    with serving(DISPLACE, handler) as address:
        for force, stiffness in LOADS:
            done = run("displacement-client", address, repr(force), repr(stiffness))
            assert (done.returncode, float(done.stdout)) == (0, force / stiffness)
        done = run("displacement-client", address, "1", "0")
        wrong = run("displacement-client", address, "1", "-1")
    assert (done.returncode, done.stderr) == (1, 'OUT_OF_RANGE: "no\\x0aspring"\n')
    assert (wrong.returncode, wrong.stderr) == (1, "not a Displacement\n")
    assert asked == [*LOADS, (1, 0), (1, -1)]


def test_displacement_both():
    with running("displacement-server", "127.0.0.1:0") as address:
        done = run("displacement-client", address, "1", "3")
        wrong = run("displacement-client", address, "1", "0")
    assert (done.returncode, float(done.stdout)) == (0, 1 / 3)
    assert (wrong.returncode, wrong.stderr) == (1, f'INVALID_ARGUMENT: "{NO_SPRING}"\n')


# ---- state-stream ----

RECORD = "/state.States/Record"


@pytest.fixture
def state(tmp_path):
    names = ("state.Sample", "state.Summary")
    return messages(EXAMPLES / "state-stream/state.proto", tmp_path, *names)


def sine(number):
    return [math.sin(0.1 * n) for n in range(number)]


def summary_line(values):
    mean = sum(values) / len(values)
    return f"samples {len(values)} mean {mean:g}\n"


def test_state_server(state):
    Sample, Summary = state
    with running("state-server", "127.0.0.1:0") as address, grpc.insecure_channel(address) as channel:
        record = channel.stream_unary(RECORD, Sample.SerializeToString, Summary.FromString)
        assert record(iter(()), timeout=SECONDS) == Summary()
        values = []
        for number in (1, 1000, 0):
            new = [math.cos(n) for n in range(number)]
            values += new
            summary = record((Sample(seconds=n, value=v) for n, v in enumerate(new)), timeout=SECONDS)
            assert summary.samples == len(values)
            assert summary.mean == pytest.approx(sum(values) / len(values))
        raw = channel.stream_unary(RECORD)
        with pytest.raises(grpc.RpcError) as wrong:
            raw(iter([b"\xff\xff"]), timeout=SECONDS)
        assert wrong.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert wrong.value.details() == "not a Sample"


def test_state_client(state):
    Sample, Summary = state
    seen = []

    def record(samples, context):
        seen.extend(sample.value for sample in samples)
        return Summary(samples=len(seen), mean=sum(seen) / len(seen))

    handler = grpc.stream_unary_rpc_method_handler(record, Sample.FromString, Summary.SerializeToString)
    with serving(RECORD, handler) as address:
        done = run("state-client", address, "500")
    assert seen == pytest.approx(sine(500))
    assert (done.returncode, done.stdout) == (0, summary_line(seen))


def test_state_client_is_refused():
    with serving("/none", None) as address:
        done = run("state-client", address, "3")
    assert done.returncode == 1
    assert done.stderr.startswith('no summary: UNIMPLEMENTED "')


def test_state_client_gets_no_summary():
    handler = grpc.stream_unary_rpc_method_handler(lambda samples, context: b"\xff\xff")
    with serving(RECORD, handler) as address:
        done = run("state-client", address, "3")
    assert (done.returncode, done.stderr) == (1, 'no summary: OK ""\n')


def test_state_both():
    with running("state-server", "127.0.0.1:0") as address:
        done = run("state-client", address, "100")
    assert (done.returncode, done.stdout) == (0, summary_line(sine(100)))


# ---- wrong words ----


@pytest.mark.parametrize(
    "words",
    [
        ["displacement-client"],
        ["displacement-client", "127.0.0.1:1", "1"],
        ["displacement-client", "127.0.0.1:1", "1", "1N"],
        ["displacement-client", "127.0.0.1:1", "nan", "1"],
        ["state-client"],
        ["state-client", "127.0.0.1:1"],
        ["state-client", "127.0.0.1:1", "-1"],
        ["state-client", "127.0.0.1:1", "1x"],
    ],
)
def test_usage(words):
    done = run(*words)
    assert done.returncode in (1, 2)
    assert done.stderr.startswith(f"usage: {words[0]} TARGET ")


@pytest.mark.parametrize("name", ["displacement-server", "state-server"])
def test_address_in_use(name):
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        done = run(name, address)
    # gRPC has its own lines before.
    assert (done.returncode, done.stderr.splitlines()[-1]) == (1, f"cannot serve at {address}")


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("[ds]*/*.c")))
def test_they_are_short(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) < 80


# ---- docs/rpc.md ----


def test_the_walk_names_what_there_is():
    """Its functions are in headers, its methods in the examples' services."""
    text = (EXAMPLES.parent / "docs/rpc.md").read_text(encoding="utf-8")
    headers = "".join(path.read_text(encoding="utf-8") for path in EXAMPLES.parent.glob("common/*/*.h"))
    called = set(re.findall(r"\b((?:rpc|request|wire|loop|text|number|auto)_\w*)\(", text))
    assert {"rpc_call_start", "request_read", "wire_decode"} < called
    assert not {name for name in called if not re.search(rf"\b{name}\(", headers)}
    services = {}
    for path in EXAMPLES.glob("*/*.proto"):
        proto = path.read_text(encoding="utf-8")
        (package,) = re.findall(r"^package (\w+);", proto, re.MULTILINE)
        (service,) = re.findall(r"^service (\w+)", proto, re.MULTILINE)
        services[f"{package}.{service}"] = re.findall(r"rpc (\w+)\(", proto)
    paths = re.findall(r'"/([\w.]+)/(\w+)"', text)
    assert paths
    assert not [path for path in paths if path[1] not in services.get(path[0], ())]
