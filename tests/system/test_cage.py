"""--sandbox: an app tries to get out of each cage, and does what apps do there.

One federation for all; the nodes run as an ordinary user, as root they would be able to do more than
any cage forbids."""

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from judge import APP, serves
from newest import newest_federation
from test_failures import FAILED, TOLD
from test_zygote import warm

from federation.processes import wait_until

pytestmark = [
    pytest.mark.ours,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to start nodes as another user"),
]

USER = 20001
AS_USER = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", "--"]
# The same where no user namespaces can be made.
WITHOUT_NAMESPACES = """
import ctypes, os, sys
done, told = os.pipe()
own = os.getpid()
if os.fork() == 0:
    os.read(done, 1)
    for name in ("uid_map", "gid_map"):
        with open(f"/proc/{own}/{name}", "w") as file:
            file.write("0 0 65536")
    os._exit(0)
assert ctypes.CDLL(None).unshare(0x10000000) == 0
os.write(told, b"x")
os.wait()
with open("/proc/sys/user/max_user_namespaces", "w") as file:
    file.write("0")
os.setgroups([])
os.setresgid(*3 * [int(sys.argv[1])])
os.setresuid(*3 * [int(sys.argv[1])])
os.execv(sys.argv[2], sys.argv[2:])
"""
WITHOUT_MOUNTS = [os.path.realpath(sys.executable), "-c", WITHOUT_NAMESPACES, str(USER)]
NEEDS = '[tool.flwr-native]\nneeds = ["network", "data"]\n\n'
LANDLOCK_ABI = """
import ctypes
print(ctypes.CDLL(None).syscall(444, None, ctypes.c_size_t(0), ctypes.c_uint32(1)))
"""

# What an app is able to do in every cage, and what each cage leaves to it beside that. A "done" that
# is not here is a hole.
ALWAYS = {
    "own app: read",
    "program in memory",
    "temporary file",
    "user database",
    "home: make",
    "data: read",
    "data: write",
}
NODE = {
    "beside hidden things: make",
    "/tmp",
    "connect",
    "connect: another port",
    "connect: fast open",
    "datagram",
    "listen",
    "netlink socket",
    "user namespace",
    "keys of the session",
    "io_uring",
    "core file",
    "data: write where it is read",
    "data: other",
}
STRICT = ALWAYS | {"connect"}
# Depends on the kernel and its settings, and is no way out.
ANY = {"connect: MPTCP", "connect: fast open", "perf", "io_uring", "keys of the session"}


def landlock():
    said = subprocess.run(["python3", "-c", LANDLOCK_ABI], stdout=subprocess.PIPE, check=True)
    return int(said.stdout)


def app_with(folder):
    """The judge's app that can also try to escape."""
    app = folder / "app/judge"
    shutil.copytree(APP, app, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(Path(__file__).parent / "cage/attempts.py", app / "judge/attempts.py")
    client = app / "judge/client_app.py"
    text = client.read_text(encoding="utf-8")
    orders = "import functools\n\nfrom judge import attempts\n\n"
    orders += "@functools.cache\ndef flwr_preload():\n    return os.getpid()\n\n"
    orders += 'ORDERS["escape"] = attempts.escape\nORDERS["need"] = attempts.need_data\n'
    client.write_text(text.replace("\n@app.query()", f"\n{orders}\n\n@app.query()"), "utf-8")
    pyproject = app / "pyproject.toml"
    text = pyproject.read_text(encoding="utf-8")
    pyproject.write_text(text.replace("[tool.flwr.app]\n", f"{NEEDS}[tool.flwr.app]\n", 1), "utf-8")
    return app


class Place:
    """What is outside of the cages: files of the user, a process, sockets."""

    def __init__(self, folder):
        self.folder = folder
        # Where and as whom nodes start.
        self.directory, self.prefix = folder, AS_USER
        self.home = folder / "home"
        self.data = folder / "data"
        for each in ("read", "write", "other"):
            (self.data / each).mkdir(parents=True)
            (self.data / each / "file").write_text("data", encoding="utf-8")
        self.keys = folder / "home/keys"
        self.keys.mkdir(parents=True)
        self.sleeper = subprocess.Popen([*AS_USER, "sleep", "1000"])
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.other = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.abstract = f"flwr-test-{os.getpid()}"
        self.unix = socket.socket(socket.AF_UNIX)
        self.unix.bind("\0" + self.abstract)
        self.unix.listen(100)

    def own(self):
        """All of it belongs to the nodes' user."""
        for path in [self.folder, *self.folder.rglob("*")]:
            os.chown(path, USER, USER, follow_symlinks=False)

    def close(self):
        self.sleeper.kill()
        self.sleeper.wait()
        for each in (self.listener, self.other, self.unix):
            each.close()


@pytest.fixture(scope="module")
def place():
    folder = Path(tempfile.mkdtemp(prefix="cage-"))
    folder.chmod(0o755)
    place = Place(folder)
    yield place
    place.close()
    shutil.rmtree(folder)


class Node:
    def __init__(self, federation, place, name, options, env):
        self.place = place
        self.home = place.home / name
        self.state = self.home / "state"
        self.key = place.keys / f"{name}.key"
        self.state.mkdir(parents=True)
        # The SuperLink's certificate must be where the user can read it, too.
        shutil.copy(federation.certificates.authority, self.home / "ca.pem")
        shutil.copy(federation.keys[len(federation.nodes)].private, self.key)
        place.own()
        # Root's node uses no directory of somebody else.
        self.owner = USER if place.prefix else 0
        os.chown(self.state, self.owner, self.owner)
        given = {
            "--flwr-dir": self.home / "flwr",
            "--state-dir": self.state,
            "--auth-supernode-private-key": self.key,
            "--root-certificates": self.home / "ca.pem",
            **options,
        }
        # It starts in a directory that the cage hides.
        self.place.directory = self.state
        # The test looks at the node, and the cage alone keeps the app from that.
        given_env = {"HOME": str(self.home), "FLWR_TEST_VISIBLE": "1", "A_SECRET": "x", **env}
        self.process = federation.start_node(options=given, env=given_env)
        self.id = federation.wait_registered(self.process)

    def order(self):
        """Paths, ports and numbers of what is outside."""
        pid = self.process.pid
        sibling = self.home / "flwr/apps/somebody.other.1.0.0.0123456789abcdef"
        if not sibling.exists():
            sibling.mkdir(parents=True)
            (sibling / "secret").write_text("secret", encoding="utf-8")
            for path in (sibling.parent, sibling, sibling / "secret"):
                os.chown(path, self.owner, self.owner)
                path.chmod(0o755)
        (state,) = self.state.iterdir()
        (private,) = [each for each in (self.home / "flwr").glob("flwr-*") if each.is_dir()]
        return {
            "supernode": pid,
            "process": self.place.sleeper.pid,
            "key": str(self.key),
            "state": str(state),
            "socket": str(private / "worker-api.sock"),
            "sibling": str(sibling),
            "port": self.place.listener.getsockname()[1],
            "port-2": self.place.other.getsockname()[1],
            "abstract": self.place.abstract,
            "data": str(self.place.data),
        }


class Lab:
    def __init__(self, federation, place, folder):
        self.federation = federation
        self.place = place
        start = federation.start

        def start_as(name, argv, env, cwd=None):
            if "supernode" in name:
                return start(name, [*place.prefix, *argv], env, place.directory)
            return start(name, argv, env, cwd)

        federation.start = start_as
        federation.secure(keys=8)
        federation.start_superlink()
        self.nodes = {}
        self.app = app_with(folder)
        self.judge = federation.judge(app=self.app)

    def node(self, name, options=None, prefix=AS_USER, env=None):
        if name not in self.nodes:
            self.place.prefix = prefix
            self.nodes[name] = Node(self.federation, self.place, name, options or {}, env or {})
        return self.nodes[name]

    def escapes(self, node):
        """What an app sees that starts plainly, then what one sees that the zygote has forked, then one
        that comes from the zygote of its run."""
        seen = [self.escape(node)]
        warm(node.process)
        seen.append(self.escape(node))
        node.process.wait_log(r"zygote of run \d+ pid=\d+: ready(?s:.*)fork of the zygote: forked pid=\d+$")
        seen.append(self.escape(node))
        assert [about["forked"] for _, about in seen] == [False, True, True]
        assert [about["ahead"] for _, about in seen] == [False, False, True]
        return seen

    def escape(self, node):
        reply = self.judge.ask(node.id, "escape", seconds=120, **node.order())
        assert reply["code"] == 0, reply
        return json.loads(reply["configs"]["known"]["json"])


@pytest.fixture(scope="module")
def lab(request, place, tmp_path_factory):
    with contextlib.ExitStack() as stack:
        folder = tmp_path_factory.mktemp("cage")
        federation = stack.enter_context(newest_federation(request, folder))
        yield Lab(federation, place, folder)


def works(seen):
    """What frameworks are made of is there."""
    said = {name: what for name, what in seen.items() if name.startswith("works: ")}
    assert len(said) > 8
    assert {name: what for name, what in said.items() if what != "done"} == {}


def holes(seen, allowed, any_way=frozenset()):
    """What succeeded and should not; what should and did not."""
    done = {name for name, what in seen.items() if what == "done" and "works" not in name}
    if landlock() < 6:
        allowed = allowed | {"abstract socket", *(name for name in seen if "signal" in name)}
        done |= {name for name in allowed if "signal" in name or "abstract" in name}
    return sorted(done - allowed - any_way), sorted(allowed - done - any_way)


def strict_options(place):
    """Apps of such a node have what is named here, and no more."""
    if landlock() < 4:
        pytest.skip("this kernel's Landlock knows of no ports")
    return {
        "--sandbox": "strict",
        "--data-dir": f"{place.data}/read",
        "--data-dir=" + f"{place.data}/write:rw": True,
        "--app-network": f"127.0.0.1:{place.listener.getsockname()[1]}",
        "--app-env": "A_SETTING=of the operator",
    }


@pytest.mark.parametrize("cage", [None, "node"])
def test_node(lab, cage):
    """The cage that is there without a word, and by its name."""
    node = lab.node(cage or "default", {"--sandbox": cage})
    for seen, about in lab.escapes(node):
        assert holes(seen, ALWAYS | NODE, ANY) == ([], [])
        works(seen)
        assert about["variables"]["A_SECRET"] == "x" and about["home"] == str(node.home)
        assert not {name for name in about["variables"] if name.startswith("FLWR_APP")}
    node.process.wait_log(r"INFO +supernode: apps run in a cage: sandbox=node landlock=\d+")
    assert serves(lab.judge, node.id) == 1


@pytest.mark.parametrize("cage", ["node", "strict"])
def test_app_user(lab, cage):
    """A node that runs as root, and apps that do not."""
    options = strict_options(lab.place) if cage == "strict" else {"--sandbox": cage}
    # A short name: paths of sockets are below its home.
    node = lab.node(f"u-{cage}", {**options, "--app-user": f"{USER}:{USER}"}, prefix=[])
    # Without an account the user's home is "/"; in the strict cage a run has one of its own.
    expected = {"node": ((ALWAYS | NODE) - {"home: make"}, ANY), "strict": (STRICT,)}
    for seen, _ in lab.escapes(node):
        assert holes(seen, *expected[cage]) == ([], [])
        works(seen)


# Landlock does not judge connections to sockets in files, and all directories can be listed.
WITHOUT_MOUNTS_ALSO = {"node: command line", "socket of the worker API", "another app: name"}


@pytest.mark.parametrize("apart", [False, True])
def test_without_mounts(lab, apart):
    """What is asked for holds all the same; the price is that nothing new can be made above it: in the home
    of apps, too, unless that lies apart, as it does in docker/."""
    lab.federation.expect(r"apps cannot have mounts of their own here \(user namespaces are not allowed\)")
    price = {"beside hidden things: make", "/tmp"}
    name, env = "bare", {"TMPDIR": f"{lab.place.data}/write"}
    if apart:
        name, env["HOME"] = "apart", env["TMPDIR"]
    else:
        price |= {"home: make"}
    node = lab.node(name, {"--sandbox": "node"}, prefix=WITHOUT_MOUNTS, env=env)
    for seen, _ in lab.escapes(node):
        allowed = (ALWAYS | NODE | WITHOUT_MOUNTS_ALSO) - price - {"user namespace"}
        assert holes(seen, allowed, ANY) == ([], [])
        works(seen)


def test_without_mounts_by_default(lab):
    """Without a word nothing is hidden that lies below what apps may write to; a warning names it."""
    # The app has written to its own files, too.
    lab.federation.expect(r"so this stays within their reach: ", r"flwr_preload\(\) of .* cannot be used ahead")
    node = lab.node("open", prefix=WITHOUT_MOUNTS)
    seen, _ = lab.escape(node)
    done = {name for name, what in seen.items() if what == "done"}
    assert {"key: read", "state: write", "own app: write", "another app: read", "another app: write"} <= done
    assert not {"node: memory", "node: trace", "parent: trace", "another process: trace"} & done
    works(seen)
    said = node.process.wait_log(r"so this stays within their reach: (.*); --sandbox node hides it")
    assert {str(node.home / "flwr/apps"), str(node.key)} <= set(said.group(1).split(", "))


@pytest.fixture
def strict(lab):
    return lab.node("strict", strict_options(lab.place))


def test_strict(lab, strict):
    for seen, about in lab.escapes(strict):
        assert holes(seen, STRICT) == ([], [])
        works(seen)
        variables = about["variables"]
        assert variables["A_SETTING"] == "of the operator" and variables["PYTHONNOUSERSITE"] == "1"
        assert not {name for name in variables if name.startswith(("A_SECRET", "FLWR_"))}
        for path in (about["home"], about["temporary"], about["directory"]):
            assert path.startswith(f"{strict.home}/flwr/runs-")
    strict.process.wait_log(r"INFO +supernode: apps run in a cage: sandbox=strict landlock=\d+")


def test_told(lab, strict):
    """What an app needs by its own word is shown and not granted; what it was refused is said, with
    the option that allows it. Both are said once a run."""
    lab.federation.expect(FAILED, TOLD)
    refused = "--sandbox strict: the app was refused something: "
    needs = "the app says that it needs: network, data"
    again = lab.federation.judge(app=lab.app)
    for judge, lines in ((lab.judge, 1), (again, 2)):
        for _ in range(2):
            reply = judge.ask(strict.id, "need", data=str(lab.place.data))
            assert reply["code"] == 2 and "PermissionError" in reply["reason"]
        assert serves(judge, strict.id) >= 1
        # What the message before has printed is in the log by now.
        assert strict.process.text().count(refused) == lines
        assert strict.process.text().count(needs) == lines
    line = strict.process.wait_log(f"{refused}(.*)")
    assert line.group(1) == f"'{lab.place.data}/other/file': --data-dir allows it, for a directory or a file"
    again.close()


def test_run_over(lab, strict):
    """What a run had of its own goes with it."""
    lab.federation.expect(r"message dropped: .*its run is over")
    pipe = lab.place.data / "write/pipe"
    os.mkfifo(pipe)
    os.chown(pipe, USER, USER)
    (runs,) = (strict.home / "flwr").glob("runs-*")
    before = set(os.listdir(runs))
    other = lab.federation.judge(app=lab.app)
    other.send(strict.id, "wait", pipe=str(pipe))
    with open(pipe, "w", encoding="utf-8") as word:  # returns when the app has opened it
        assert set(os.listdir(runs)) == before | {str(other.run_id)}
        lab.federation.flwr("stop", other.run_id, "local")
        word.write("go on")
    strict.process.wait_log(r"its run is over")
    wait_until(lambda: set(os.listdir(runs)) == before, "the run's directories are gone", 30)
    assert serves(lab.judge, strict.id) >= 1


APPLY = """
import ctypes, os, sys
cage = ctypes.CDLL(sys.argv[1])
ours, theirs = os.pipe()
if os.fork() == 0:
    made = cage.cage_apply(os.fsencode(sys.argv[2]))
    try:
        said = open(sys.argv[3]).read()
    except OSError as error:
        said = type(error).__name__
    os.write(theirs, f"{made} {said}".encode())
    os._exit(0)
print(os.read(ours, 100).decode(), "and", open(sys.argv[3]).read())
"""


@pytest.mark.parametrize("mounts", ["", "mounts\n"])
def test_interpreter(place, mounts):
    """A child of a Python that runs already puts itself into a cage; its parent is outside."""
    shared = Path(os.environ["FLWR_BIN_DIR"]).parent / "libexec/flwr-native/flwr-cage.so"
    library = shutil.copy(shared, place.folder / "cage.so")
    hidden = place.data / "other/file"
    place.own()
    command = [*AS_USER, os.path.realpath(sys.executable), "-c", APPLY, library, f"{mounts}hide {hidden}", hidden]
    done = subprocess.run(command, stdout=subprocess.PIPE, encoding="utf-8", timeout=60, check=True)
    assert done.stdout == "0 PermissionError and data\n"


def test_end(lab):
    """What a run had of its own goes with the node."""
    for node in lab.nodes.values():
        assert node.process.stop() == 0
        assert not list((node.home / "flwr").glob("runs-*"))
