"""The part of the bridge that installs an app's dependencies, by itself: which command it gives to
which tool, what it makes of what the tool does, what is in the way of two at once."""

import contextlib
import functools
import http.server
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from wheels import make_wheel

from federation.processes import wait_until

pytestmark = pytest.mark.ours

BRIDGE = Path(__file__).parents[2] / "clientapp/run/bridge/dependencies.py"

# Says what has become of one installation: a line of JSON, the last one.
DRIVER = """
import importlib.util, json, os, sys
spec = importlib.util.spec_from_file_location("flwr_native_bridge.dependencies", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
settings = module.take_settings()
said = {"error": None, "left": [n for n in os.environ if n.startswith("FLWR_APP_")]}
try:
    module.install(settings, sys.argv[2], "lab/robot")
except module.DependencyError as error:
    said["error"] = str(error)
said["path"], said["env"] = sys.path[0], os.environ.get("PYTHONPATH")
for name in sys.argv[3:]:
    said[name] = importlib.import_module(name).VERSION
print(json.dumps(said))
"""

# SIGTERM comes when the tool is at work already, and before its process is known.
SIGNALLED = """
import signal, subprocess
start = subprocess.Popen
def interrupted(*words, **options):
    process = start(*words, **options)
    open(os.environ["AT_WORK"]).close()
    os.kill(os.getpid(), signal.SIGTERM)
    return process
subprocess.Popen = interrupted
"""

# A uv that writes down what it is asked for, and does what the file beside it says.
FAKE_UV = """
import json, os, pathlib, subprocess, sys
here = pathlib.Path(__file__).parent
words = sys.argv[1:]
value = lambda option: words[words.index(option) + 1]
asked = {"words": words, "index": {n: v for n, v in os.environ.items() if "INDEX" in n}}
for option in ("-r", "-c"):
    asked[option] = pathlib.Path(value(option)).read_text().split()
with open(here / "asked", "a") as file:
    file.write(json.dumps(asked) + "\\n")
exec((here / "does").read_text())
"""
MAKES = """
target = pathlib.Path(value("--target"))
for line in asked["-r"]:
    (target / (line.split("=")[0].replace("-", "_") + ".py")).write_text("VERSION = '1'\\n")
"""
HANGS = """
child = subprocess.Popen(["sleep", "1000"])
(here / "pids.new").write_text(f"{os.getpid()} {child.pid}")
os.rename(here / "pids.new", here / "pids")
child.wait()
"""
# As the real ones say it.
PIP_SAYS = """
print("ERROR: Could not find a version that satisfies the requirement small-arm (from versions: none)")
print("ERROR: No matching distribution found for small-arm")
sys.exit(1)
"""
UV_SAYS = """
print("Using Python 3.11.2 environment")
print("  × No solution found when resolving dependencies:")
print("  ╰─▶ Because small-arm was not found in the provided package locations and you")
print("      require small-arm, we can conclude that your requirements are unsatisfiable.")
sys.exit(1)
"""


class Place:
    """An app, a folder for what it needs, a tool."""

    def __init__(self, folder):
        self.folder = folder
        self.root, self.app, self.uv = folder / "root", folder / "app", folder / "tool/uv"
        for each in (self.root, self.app, self.uv):
            each.mkdir(parents=True)
        self.root.chmod(0o700)
        (self.uv / "__init__.py").touch()
        (self.uv / "__main__.py").write_text(FAKE_UV, encoding="utf-8")
        self.does(MAKES)

    def does(self, code):
        (self.uv / "does").write_text(code, encoding="utf-8")

    def needs(self, *requirements):
        text = f"[project]\nname = 'robot'\ndependencies = {json.dumps(requirements)}\n"
        (self.app / "pyproject.toml").write_text(text, encoding="utf-8")

    def start(
        self,
        *modules,
        before="",
        index=None,
        timeout="600",
        python=sys.executable,
        fake=True,
        **env,
    ):
        env = {**os.environ, "FLWR_APP_DEPENDENCIES": str(self.root), **env}
        env.update(FLWR_APP_DEPENDENCY_TIMEOUT=timeout, PYTHONDONTWRITEBYTECODE="1")
        env.pop("PYTHONPATH", None)
        if fake:
            env["PYTHONPATH"] = str(self.uv.parent)
        if index is not None:
            env["FLWR_APP_DEPENDENCY_INDEX"] = str(index)
        driver = DRIVER.replace("settings =", before + "settings =", 1)
        argv = [python, "-c", driver, BRIDGE, self.app, *modules]
        return subprocess.Popen(
            argv, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8"
        )

    def install(self, *modules, **more):
        out, err = self.start(*modules, **more).communicate(timeout=60)
        assert out, err
        said = json.loads(out.splitlines()[-1])
        said["out"], said["err"] = out, err
        return said

    def asked(self):
        """What the fake tool was asked for, each time."""
        file = self.uv / "asked"
        lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
        return [json.loads(line) for line in lines]

    def made(self):
        return sorted(path.name for path in self.root.iterdir())

    def pids(self):
        wait_until((self.uv / "pids").exists, "the tool is at work", 30)
        return [int(pid) for pid in (self.uv / "pids").read_text(encoding="utf-8").split()]


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


def gone(pids):
    def all_gone():
        return not any(Path(f"/proc/{pid}").exists() for pid in pids)

    wait_until(all_gone, "the tool and what it has started end", 30)


def test_installed_once(place):
    """What is not there goes into one folder with the app's name, found by imports and children."""
    place.needs("small-arm==1", "flwr>=1", "Flwr[simulation]", "other; python_version < '3'")
    said = place.install("small_arm")
    assert said["error"] is None and said["small_arm"] == "1" and said["left"] == []
    assert "installing 1 package for the app lab/robot with uv: small-arm==1" in said["out"]
    assert "installed 1 package for the app lab/robot in " in said["out"]
    (name,) = place.made()
    assert name.startswith("lab.robot.") and sys.implementation.cache_tag in name
    assert said["path"] == str(place.root / name / "packages")
    assert said["env"].split(":")[0] == said["path"]
    again = place.install("small_arm")
    assert again["path"] == said["path"] and "installing" not in again["out"]
    (asked,) = place.asked()
    assert asked["-r"] == ["small-arm==1"]


def test_nothing_to_do(place):
    """What the interpreter has is not installed again, and no folder is made."""
    place.needs("flwr", "numpy", "pytest>=1")
    said = place.install()
    assert (said["error"], place.made(), place.asked()) == (None, [], [])
    assert not said["path"].startswith(str(place.root))


def test_what_is_there_is_a_constraint(place):
    place.needs("numpy<1000", "small")
    assert place.install()["error"] is None
    (asked,) = place.asked()
    assert asked["-r"] == ["small"]
    assert asked["-c"][1:] == ["numpy<1000"]
    assert asked["-c"][0].startswith("flwr==")


def test_another_version_than_there_is(place):
    place.needs("numpy>=1000")
    assert place.install()["error"] is None
    assert place.asked()[0]["-r"] == ["numpy>=1000"]


def test_extras_that_are_not_there(place):
    """The package is there, what its extra asks for is not."""
    site = place.folder / "tool"
    about = site / "gripper-1.0.dist-info"
    about.mkdir()
    metadata = "Metadata-Version: 2.1\nName: gripper\nVersion: 1.0\nProvides-Extra: soft\n"
    metadata += 'Requires-Dist: small-arm; extra == "soft"\n'
    (about / "METADATA").write_text(metadata, encoding="utf-8")
    place.needs("gripper")
    assert place.install()["error"] is None and place.asked() == []
    place.needs("gripper[soft]")
    assert place.install()["error"] is None
    assert place.asked()[0]["-r"] == ["gripper[soft]"]


@pytest.mark.parametrize(
    ("index", "has", "kept"),
    [
        (None, ["--directory"], True),
        ("https://h/simple", ["--index-url", "https://h/simple", "--no-config"], False),
        ("FOLDER", ["--no-index", "--find-links", "--only-binary", "--offline"], False),
    ],
)
def test_index(place, index, has, kept):
    """The operator's word is the only one; without it, the tool's own settings hold."""
    place.needs("small")
    index = index and index.replace("FOLDER", str(place.folder))
    assert place.install(index=index, UV_EXTRA_INDEX_URL="https://else/")["error"] is None
    (asked,) = place.asked()
    assert set(has) <= set(asked["words"])
    assert ("UV_EXTRA_INDEX_URL" in asked["index"]) == kept
    assert ("--no-index" in asked["words"]) == ("--find-links" in has)


def test_no_index(place):
    """Nothing is tried; the sentence names what is missing."""
    place.needs("numpy", "small-arm>=1", "leg")
    said = place.install(index="none")
    assert ": small-arm, leg: not there, and this node has no index" in said["error"]
    assert place.asked() == place.made() == []
    place.needs("numpy")
    assert place.install(index="none")["error"] is None


def test_url_of_an_app_with_a_folder_of_wheels(place):
    place.needs("small @ https://h/small-1-py3-none-any.whl")
    said = place.install(index=place.folder)
    assert ": small: asked for by a URL" in said["error"] and place.asked() == []


@pytest.mark.parametrize("text", ["-r /etc/passwd", "./wheel.whl", "a b", "--index-url=http://h"])
def test_no_requirement(place, text):
    """It does not reach the tool as an option."""
    place.needs(text)
    assert f"{text!r} is none" in place.install()["error"]
    assert place.asked() == []


def test_no_list(place):
    (place.app / "pyproject.toml").write_text("[project]\ndependencies = 'x'", encoding="utf-8")
    assert "no list of texts" in place.install()["error"]


@pytest.mark.parametrize(
    ("says", "words"),
    [
        (PIP_SAYS, "uv says: ERROR: No matching distribution found for small-arm"),
        (UV_SAYS, "uv says: No solution found when resolving dependencies: Because small-arm was"),
        ("sys.exit(3)", "leg, small-arm: uv says: nothing"),
    ],
)
def test_failed(place, says, words):
    """The reason names the package; nothing is kept, and the next message tries again."""
    place.needs("leg", "small-arm")
    place.does(says)
    said = place.install()
    assert words in said["error"] and "installed 2 " not in said["out"]
    assert (": small-arm: " in said["error"]) == ("exit(3)" not in says)
    assert place.made() == []
    place.does(MAKES)
    assert place.install("small_arm")["small_arm"] == "1"


def test_paths_are_not_told(place):
    place.needs("leg")
    place.does("print('error: cannot write ' + value('--target')); sys.exit(1)")
    said = place.install()
    assert "error: cannot write ..." in said["error"] and str(place.root) not in said["error"]
    assert str(place.root) in said["err"]


def test_time_over(place):
    place.needs("leg")
    place.does(HANGS)
    said = place.install(timeout="2")
    assert ": leg: uv has not done it within 2 s (--dependency-timeout)" in said["error"]
    gone(place.pids())
    assert place.made() == []


def test_stopped(place):
    """The tool and what it has started end with it, and nothing is left half made."""
    place.needs("leg")
    place.does(HANGS)
    process = place.start()
    pids = place.pids()
    process.terminate()
    process.communicate(timeout=30)
    assert process.returncode == -signal.SIGTERM
    gone(pids)
    assert place.made() == []


def test_stopped_at_its_start(place):
    """The same when the signal comes while the tool is being started."""
    place.needs("leg")
    tells = 'open(os.environ["AT_WORK"], "w").close()\n'
    place.does(HANGS.replace("child.wait", tells + "child.wait"))
    pipe = place.folder / "at-work"
    os.mkfifo(pipe)
    process = place.start(before=SIGNALLED, AT_WORK=str(pipe))
    _, err = process.communicate(timeout=30)
    assert process.returncode == -signal.SIGTERM, err
    gone(place.pids())
    assert place.made() == []


def test_killed(place):
    """What it left half made is removed by the next one, and not used."""
    place.needs("leg")
    place.does(HANGS)
    process = place.start()
    pids = place.pids()
    process.kill()
    process.communicate(timeout=30)
    for pid in pids:  # as their agent does
        os.kill(pid, signal.SIGKILL)
    gone(pids)
    assert [name for name in place.made() if name.endswith(".new")]
    place.does(MAKES)
    place.needs("arm")
    assert place.install("arm")["arm"] == "1"
    (name,) = place.made()
    assert not name.startswith(".")


def test_two_at_once(place):
    """One installs, the other waits for it."""
    place.needs("leg")
    pipe = place.folder / "pipe"
    os.mkfifo(pipe)
    place.does(f"open({str(pipe)!r}).read()" + MAKES)
    both = [place.start("leg") for _ in range(2)]
    with open(pipe, "w", encoding="utf-8"):
        pass  # one has come to it
    said = [process.communicate(timeout=60)[0] for process in both]
    assert [json.loads(text.splitlines()[-1])["leg"] for text in said] == ["1", "1"]
    assert len(place.asked()) == 1
    assert sum("installing" in text for text in said) == 1
    assert len(place.made()) == 1


def test_folder_of_somebody_else(place):
    place.needs("leg")
    place.root.chmod(0o777)
    assert "others may write to it" in place.install()["error"]


def test_flower_stays(place):
    """A package that a dependency has brought may be flwr: the running one is kept."""
    place.needs("leg")
    brings = "(target / 'flwr').mkdir(); (target / 'flwr-9.9.dist-info').mkdir()"
    place.does(MAKES + brings)
    said = place.install("leg")
    assert said["leg"] == "1"
    assert [path.name for path in Path(said["path"]).iterdir() if "flwr" in path.name] == []


def environments():
    """Of Flower: one that has no uv, and one that has it."""
    found = [Path(sys.prefix), Path(sys.prefix).parent / "flower-1.41.0"]
    return [each for each in found if (each / "bin/python").exists()]


def test_real_tools(place, tmp_path):
    """Of this interpreter: uv, where it has it, else pip; another interpreter has another folder."""
    wheels = tmp_path / "wheels"
    make_wheel(wheels, "small-arm", requires=["small-leg>=1"])
    make_wheel(wheels, "small-leg", "1.5")
    place.needs("small-arm")
    tools = {}
    for environment in environments():
        python = environment / "bin/python"
        said = place.install("small_arm", "small_leg", index=wheels, python=python, fake=False)
        assert (said["error"], said["small_arm"], said["small_leg"]) == (None, "1.0", "1.5"), said
        has_uv = list(environment.glob("lib/python*/site-packages/uv"))
        tools[said["path"]] = " with uv" if has_uv else " with pip"
        assert tools[said["path"]] in said["out"]
        again = place.install("small_leg", index=wheels, python=python, fake=False)
        assert again["path"] == said["path"] and "installing" not in again["out"]
        place.needs("small-arm", "nowhere-to-be-found>=2")
        said = place.install(index=wheels, python=python, fake=False)
        assert ": nowhere-to-be-found: " in said["error"], said
        assert str(wheels) not in said["error"]
        place.needs("small-arm")
    assert sorted(tools) == sorted(str(place.root / name / "packages") for name in place.made())


@contextlib.contextmanager
def index_server(folder):
    """An index: for each package a folder, whose listing is its page."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def test_index_of_real_tools(place, tmp_path):
    """uv and pip ask the index of the operator, and no other that their variables name."""
    for name in ("small-arm", "small-leg"):
        make_wheel(tmp_path / "index" / name, name, requires=["small-leg"] * (name == "small-arm"))
    place.needs("small-arm")
    other = {"UV_INDEX_URL": "http://127.0.0.1:1/", "PIP_INDEX_URL": "http://127.0.0.1:1/"}
    with index_server(tmp_path / "index") as url:
        for environment in environments():
            python = environment / "bin/python"
            modules = ("small_arm", "small_leg")
            said = place.install(*modules, index=url, python=python, fake=False, **other)
            assert (said["error"], said["small_arm"], said["small_leg"]) == (None, "1.0", "1.0")


def test_wheel_that_asks_for_what_is_not_in_the_folder(place, tmp_path):
    """The reason has the package that is missing, though the app does not name it."""
    wheels = tmp_path / "wheels"
    make_wheel(wheels, "small-arm", requires=["small-leg>=1"])
    place.needs("small-arm")
    said = place.install(index=wheels, fake=False)
    assert ": small-arm: " in said["error"] and "small-leg" in said["error"], said
