"""ClientApps in C under real SuperLinks, in both isolations: what they answer, and how they end."""

import contextlib
import hashlib
import io
import os
import re
import signal
import subprocess
import zipfile
from pathlib import Path

import grpc
import pytest
from judge import APP, serves
from newest import federation_of
from test_failures import FAILED, NOT_LOADED, TOLD
from test_library_superlink import node_of
from test_releases import use

from federation.processes import free_ports, wait_until
from flwr.proto.exec_pb2 import StartRunRequest
from flwr.proto.exec_pb2_grpc import ExecStub
from flwr.proto.fab_pb2 import Fab
from flwr.proto.transport_pb2 import Scalar

pytestmark = pytest.mark.ours

ROOT = Path(__file__).parents[2]
SOURCE = Path(__file__).parent / "native/judge.c"
NAME = "flwr-native/judge"
SANITIZED = os.environ.get("FLWR_SANITIZE") == "1"
ALL = os.environ.get("FLWR_TEST_ALL_RELEASES") == "1"
PAIRS = ["1.15.2-subprocess", "1.41.0-process"]
if ALL:
    PAIRS += ["1.15.2-process", "1.26-subprocess", "1.39-process", "1.41.0-subprocess"]


def build(file, *more, source=SOURCE):
    """As the header says, but for where headers and library are."""
    library = Path(os.environ["FLWR_BIN_DIR"]).parent / "lib"
    compiler = os.environ.get("CC", "cc")
    flags = [f"-I{ROOT / 'include'}", f"-L{library}", "-lflwr-app"]
    command = [compiler, "-shared", "-fPIC", "-o", file, source, *flags, *more]
    subprocess.run(command, check=True, timeout=120)
    return file


@pytest.fixture(scope="module")
def judge_so(tmp_path_factory):
    return build(tmp_path_factory.mktemp("built") / "judge.so")


class Lab:
    """A federation with one node whose app is the judge in C, and a run of the judge."""

    def __init__(self, federation, isolation, options, app=APP):
        self.federation = federation
        self.isolation = isolation
        federation.expect(FAILED, TOLD, r"(WARN|ERROR)\s+(supernode|clientapp): (\S+: )?message ")
        federation.start_superlink()
        if isolation == "subprocess":
            self.node = self.worker = federation.start_node("name='x'", options)
        else:
            address = f"127.0.0.1:{free_ports(1)[0]}"
            where = {"--isolation": "process", "--clientappio-api-address": address}
            self.node = federation.start_node("name='x'", where)
            self.worker = federation.start_clientapp(address, options)
        self.judge = federation.judge(app=app)
        (self.id,) = self.judge.nodes(1)

    def ask(self, what, **order):
        return self.judge.ask(self.id, what, **order)

    def fails(self, what, code, *words, **order):
        reply = self.ask(what, **order)
        assert reply["code"] == code, reply
        for each in words:
            assert each in reply["reason"], reply
        return reply

    def serves(self):
        return serves(self.judge, self.id)


@pytest.fixture(scope="module", params=PAIRS)
def lab(request, tmp_path_factory, judge_so):
    """One federation for all the tests of a release and an isolation. No Python is there."""
    release, isolation = request.param.split("-")
    options = {"--native-app": f"{NAME}={judge_so}", "--python": None}
    folder = tmp_path_factory.mktemp("lab")
    with federation_of(request, folder, release) as federation:
        yield Lab(federation, isolation, options)


# ---- SuperLinks of other releases and transports ----


# PAIRS have 1.15.2 by gRPC, and 1.41.0.
@pytest.mark.skipif(SANITIZED, reason="of our programs nothing else runs than with the releases of PAIRS")
@pytest.mark.parametrize("release, fleet_api_type", [
    ("1.15", "rest"), ("1.15", "grpc-adapter"), ("1.26", None), ("1.39", None),
])
def test_superlinks(federation, judge_so, release, fleet_api_type, record_property):
    """An app in C, and at releases that test_library_superlink.py leaves out a node in a program."""
    use(federation, release, record_property)
    federation.fleet_api_type = fleet_api_type
    federation.start_superlink()
    federation.start_node(options={"--native-app": f"{NAME}={judge_so}", "--python": None})
    nodes = 1
    with contextlib.ExitStack() as stack:
        if not fleet_api_type:
            node = stack.enter_context(node_of(federation, "mode=app", "nodes=1", "transport=grpc-rere"))
            federation.wait_registered(node)
            nodes = 2
        judge = federation.judge()
        assert [serves(judge, node_id) for node_id in judge.nodes(nodes)] == [1] * nodes
    for node in federation.nodes[1:]:
        node.kill()  # to leave takes seconds
    del federation.nodes[1:]


# ---- answers ----


def test_no_python_is_needed(lab):
    """What there is is said at the start, without a warning."""
    assert re.search(rf"app {NAME} runs from /.*/judge\.so$", lab.worker.text(), re.MULTILINE)
    assert "no app can run" not in lab.worker.text()


@pytest.mark.parametrize("what", ["echo", "copy"])
def test_arrays(lab, what):
    """Of all sizes there and back, bit by bit."""
    arrays = {"all": {f"w{n}": n for n in range(1, 40)} | {"a": 9 << 20, "b": 7 << 20}}
    message = lab.judge.send(lab.id, what, arrays=arrays, type="train")
    reply = lab.judge.reply(message)
    assert reply["code"] == 0, reply
    assert reply["digest"] == lab.judge.digests[message]
    assert {name: set(keys) for name, keys in reply["arrays"].items()} == {
        name: set(keys) for name, keys in arrays.items()
    }


def test_context(lab):
    reply = lab.ask("describe", type="evaluate", group="7")
    assert reply["configs"]["known"] == {
        "type": "evaluate",
        "group": "7",
        "name": "x",
        "text": "from the app",
        "variable": "gone",
    }


def test_state(lab):
    """It stays from message to message, but for what a handler that fails has written."""
    first = lab.serves()
    assert lab.serves() == first + 1
    lab.fails("count-and-fail", 2, "no data in the shed", where="the shed")
    assert lab.serves() == first + 2


def test_output(lab):
    """Lines have their levels, what the app prints is kept, to the last byte."""
    lab.federation.expect(r"WARN .* app: a warning")
    begin = lab.worker.size()
    assert lab.ask("print")["code"] == 0
    for line in (
        r"INFO .* app out: to stdout$",
        r"INFO .* app err: to stderr$",
        r"WARN .* app: a warning$",
        r"INFO .* app: a line$",
        r"INFO .* app: 100 %: all done$",
        r"app out: without a newline$",
    ):
        lab.worker.wait_log(line, 10, begin)


# ---- what goes wrong in an app ----

WRONGS = {
    "wrong-type": (2, 'do "what" is ', {}),
    "minus-one": (2, "query returned -1", {}),
    "spoil": (2, "name", {}),
    "none": (2, 'the judge cannot do "none"', {}),
    "signal": (8, "SIGSEGV", {}),
    "corrupt": (8, "", {}),
    "exit": (8, "exited with status 3", {"status": 3}),
    "garbage": (8, "no datagram of the app form", {}),
    "allocate": (2, "", {}),
    "allocate-heap": (8, "SIGSEGV", {}),
}


@pytest.mark.parametrize("what", WRONGS)
def test_wrong(lab, what):
    """An error reply, and the node goes on."""
    code, words, order = WRONGS[what]
    if SANITIZED and what in ("signal", "corrupt", "allocate", "allocate-heap"):
        pytest.skip("sanitizers end such an app in their own way")
    before = lab.serves()
    lab.fails(what, code, words, **order)
    assert lab.serves() == before + 1


def test_exit_without_reply(lab):
    before = lab.serves()
    lab.fails("exit", 8, "exited with status 0", status=0)
    assert lab.serves() == before + 1


def test_killed(lab, tmp_path):
    """From outside; all that it has started goes with it."""
    message = lab.judge.send(lab.id, "sit", file=str(tmp_path / "pids"))
    pids = pids_of(tmp_path / "pids")
    os.kill(pids[0], signal.SIGKILL)
    reply = lab.judge.reply(message)
    assert reply["code"] == 8 and "SIGKILL" in reply["reason"], reply
    lab.federation.wait_gone(pids, 5)
    lab.serves()


def test_hangs(lab, tmp_path):
    """Until the message's time is over."""
    message = lab.judge.send(lab.id, "sit", file=str(tmp_path / "pids"), ttl=10.0)
    pids = pids_of(tmp_path / "pids")
    reply = lab.judge.reply(message)
    assert reply["code"] == 8, reply
    lab.federation.wait_gone(pids, 10)
    lab.serves()


def test_forks(lab, tmp_path):
    """A child that comes back from the handler is no second app, one that stays is ended."""
    lab.federation.expect("WARN .* app: a forked child returned from the handler")
    before = lab.serves()
    assert lab.ask("fork-twice")["metrics"]["counter"]["n"] == before + 1
    reply = lab.ask("fork-child", file=str(tmp_path / "pids"))
    assert reply["code"] == 0, reply
    lab.federation.wait_gone(pids_of(tmp_path / "pids"), 30)
    assert lab.serves() == before + 2


def pids_of(file):
    wait_until(file.exists, "the app is at work", 60)
    return [int(pid) for pid in file.read_text(encoding="utf-8").split()]


def test_worker_timeout(federation, judge_so, tmp_path):
    options = {"--native-app": f"{NAME}={judge_so}", "--worker-timeout": 3}
    lab = Lab(federation, "subprocess", options)
    message = lab.judge.send(lab.id, "sit", file=str(tmp_path / "pids"))
    pids = pids_of(tmp_path / "pids")
    assert lab.judge.reply(message)["code"] == 8
    lab.federation.wait_gone(pids, 10)
    lab.serves()


# ---- files ----


def sources(folder, **texts):
    files = {}
    for name, text in texts.items():
        files[name] = folder / f"{name}.c"
        files[name].write_text(text, encoding="utf-8")
    return files


def test_bad_files(federation, judge_so, tmp_path):
    """One sentence each, as soon as the file is there under its name; a good one runs at once."""
    apps = tmp_path / "apps/flwr-native"
    apps.mkdir(parents=True)
    file = apps / "judge.so"
    federation.expect(r"ERROR .* app: /.*/judge\.so: ")
    lab = Lab(federation, "subprocess", {"--native-app": apps.parent})
    good = Path(judge_so).read_bytes()
    texts = sources(
        tmp_path,
        nothing="int answer = 42;\n",
        unknown="int flwr_of_the_future(void);\n"
        "void *flwr_app(void) { return (void *)(long)flwr_of_the_future(); }\n",
        refuses="#include <flwr/clientapp.h>\n"
        "const struct flwr_clientapp *flwr_app(void) { flwr_fail(\"no camera\"); return 0; }\n",
        newer="#include <flwr/clientapp.h>\n"
        "static const struct flwr_handler none[1];\n"
        "static const struct flwr_clientapp app = {sizeof app, 990000, none, 0};\n"
        "const struct flwr_clientapp *flwr_app(void) { return &app; }\n",
    )
    built = {name: build(tmp_path / f"{name}.so", source=c) for name, c in texts.items()}
    other = bytearray(good)
    other[18] = 40 if other[18] == 183 else 183
    contents = {
        "judge.so is no shared object": b"text\n",
        "judge.so is for another machine (ELF machine": bytes(other),
        "judge.so is no shared object: link it with -shared": good[:16] + b"\2" + good[17:],
        "judge.so has no function flwr_app(), or hides it": built["nothing"].read_bytes(),
        "judge.so cannot be loaded: undefined symbol: flwr_of_the": built["unknown"].read_bytes(),
        "no camera": built["refuses"].read_bytes(),
        "judge.so was built against flwr/clientapp.h 99.0": built["newer"].read_bytes(),
    }
    for words, content in contents.items():
        file.unlink(missing_ok=True)  # an app that still ends has it mapped
        file.write_bytes(content)
        reply = lab.fails("echo", 1, NOT_LOADED + ": ", words)
        assert str(tmp_path) not in reply["reason"]
    file.unlink()
    file.write_bytes(good)
    assert lab.serves() == 1
    file.unlink()
    # Without the file the app is the FAB's own again, in Python.
    lab.fails("raise", 2, "ZeroDivisionError")


def test_missing_file(federation, tmp_path):
    """Told at the start, and in each reply."""
    federation.expect(rf"WARN .*: app {NAME} cannot run yet: .*/judge\.so: No such file")
    federation.expect(r"ERROR .* app: /.*/judge\.so: judge\.so: No such file")
    missing = tmp_path / "judge.so"
    lab = Lab(federation, "subprocess", {"--native-app": f"{NAME}={missing}"})
    lab.fails("echo", 1, NOT_LOADED + ": judge.so: No such file or directory")
    lab.node.wait_log(r"cannot run yet: /.*/judge\.so: No such file")


def test_other_function(federation, tmp_path):
    build(tmp_path / "judge.so", "-Dflwr_app=make_judge")
    lab = Lab(federation, "subprocess", {"--native-app": f"{NAME}={tmp_path}/judge.so:make_judge"})
    assert lab.serves() == 1


def test_other_apps_are_python(federation, judge_so):
    """A node can have both."""
    lab = Lab(federation, "subprocess", {"--native-app": f"somebody/else={judge_so}"})
    assert lab.serves() == 1
    lab.fails("raise", 2, "ZeroDivisionError")


# ---- code in a FAB ----


def fab_with(judge_so):
    """The judge's app with its ClientApp in C inside; None: it names one, and has none."""
    text = (APP / "pyproject.toml").read_text(encoding="utf-8")
    text = text.replace('clientapp = "judge.client_app:app"', 'clientapp = "native:lib/judge.so"')
    files = {"pyproject.toml": text.encode()}
    if judge_so:
        files["lib/judge.so"] = Path(judge_so).read_bytes()
    for each in sorted((APP / "judge").glob("*.py")):
        files[f"judge/{each.name}"] = each.read_bytes()
    listed = [
        f"{path},{hashlib.sha256(data).hexdigest()},{len(data) * 8}" for path, data in files.items()
    ]
    files[".info/CONTENT"] = "\n".join(listed).encode()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as bundle:
        for path, data in files.items():
            bundle.writestr(path, data)
    return packed.getvalue()


def run_fab(federation, content):
    """In the place of federation.run(): `flwr run` would put no .so into a FAB."""

    def run(_, overrides):
        (path,) = re.findall('judge="(.*?)"', overrides)
        fab = Fab(hash_str=hashlib.sha256(content).hexdigest(), content=content)
        with grpc.insecure_channel(f"127.0.0.1:{federation.control}") as channel:
            answer = ExecStub(channel).StartRun(
                StartRunRequest(fab=fab, override_config={"judge": Scalar(string=path)})
            )
        return answer.run_id

    federation.run = run


def test_fab_brings_code(federation, judge_so):
    """Where the operator allows it for that app."""
    run_fab(federation, fab_with(judge_so))
    lab = Lab(federation, "subprocess", {"--allow-native": NAME, "--python": None})
    assert lab.serves() == 1
    assert f"app {NAME} may bring native code" in lab.node.text()


def test_fab_without_its_code(federation):
    """It names a file that it does not have."""
    run_fab(federation, fab_with(None))
    federation.expect(r"ERROR .* app: /.*/lib/judge\.so: judge\.so: No such file")
    lab = Lab(federation, "subprocess", {"--allow-native": NAME})
    lab.fails("count", 1, NOT_LOADED + ": judge.so: No such file or directory")


@pytest.mark.parametrize("options", [{}, {"--allow-native": "somebody/else"}], ids=["none", "other"])
def test_fab_may_not_bring_code(federation, judge_so, options):
    run_fab(federation, fab_with(judge_so))
    federation.expect(r"ERROR .* app: could not be started: the app brings native code")
    lab = Lab(federation, "subprocess", options)
    lab.fails("count", 1, NOT_LOADED, "native:lib/judge.so", f"--allow-native {NAME}")


# ---- an app that learns ----


def test_digits(request, tmp_path):
    """A party in C and one in Python learn together, under Flower's own FedAvg."""
    example = ROOT / "examples/native-digits"
    library = Path(os.environ["FLWR_BIN_DIR"]).parent / "examples/bin/native-digits.so"
    data = tmp_path / "digits"
    with federation_of(request, tmp_path, "1.41.0") as federation:
        export = [federation.bin / "python", "-B", "-m", "native_digits.data", "0", "2", data]
        subprocess.run(export, cwd=example, check=True, timeout=60)
        federation.start_superlink()
        mapped = f"flwr-native/native-digits={library}"
        federation.start_node(f'data="{data}"', {"--native-app": mapped, "--python": None})
        federation.start_node("partition-id=1 num-partitions=2")
        log = federation.follow_run(federation.run(example))
        accuracy = log.wait_log(r"\[SUMMARY\] accuracy (\d\.\d+)", 180).group(1)
        assert float(accuracy) >= 0.90
        assert all("reply sent" in node.text() for node in federation.nodes)
