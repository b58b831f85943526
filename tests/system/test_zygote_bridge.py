"""What the zygote imports, and what it does not keep: clientapp/run/bridge/zygote.py by itself."""

import contextlib
import os
import signal
import socket
import struct
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.ours

BRIDGE = Path(__file__).parents[2] / "clientapp/run/bridge"

# With an app that does what is in APP, as the bridge's main.py would have it done.
MAIN = """
import functools, importlib.util, os, socket, sys
spec = importlib.util.spec_from_file_location("bridge", os.environ["BRIDGE"] + "/__init__.py")
sys.modules["bridge"] = importlib.util.module_from_spec(spec)
from bridge import zygote
installed = zygote.places() + (os.environ["PACKAGES"] + "/",)
zygote.places = functools.partial(tuple, installed)

def load():
    import logging, tempfile, warnings

sock = socket.socket(fileno=int(os.environ.pop("FLWR_APP_FD")))
def load_app(folder, *names):
    sys.path.insert(0, folder)
    return importlib.import_module("the_app").app

fork = zygote.serve(sock, os.environ["START"], load, load_app, "CAGES" in os.environ)
exec(os.environ["APP"])
"""

# What a module does when it is imported, and what is said of it.
MISFITS = {
    "starts_thread": (
        "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()",
        "it starts a thread",
    ),
    "starts_process": (
        "import subprocess\nchild = subprocess.Popen(['sleep', '60'])",
        "it starts a process",
    ),
    "keeps_file": ("file = open(__file__)", "keeps_file.py open"),
    "keeps_socket": ("import socket\npair = socket.socketpair()", "open"),
    "handles": (
        "import signal\nsignal.signal(signal.SIGUSR1, lambda *_: None)",
        "it handles a signal",
    ),
    "moves": ("import os\nos.chdir('/')", "it changes the directory"),
    "breaks_and_keeps": ("import os\nends = os.pipe()\nraise ValueError", "open"),
}
# What is done by a module that another app may not find imported.
CHANGES = {
    "sets_path": ("import sys\nsys.path.append('/nowhere')", "sys.path"),
    "does_at_exit": (
        "import atexit, logging\natexit.register(logging.shutdown)",
        "an exit handler",
    ),
    "shows_warnings": ("import warnings\nwarnings.showwarning = print", "warnings are shown"),
    "sets_level": ("import logging\nlogging.root.setLevel(10)", "logging"),
    "adds_handler": (
        "import logging\nlogging.root.addHandler(logging.NullHandler())",
        "logging",
    ),
    "asks_for_folder": ("import tempfile\nfolder = tempfile.gettempdir()", "temporary files"),
    "makes_folder": (
        "import os, tempfile\nos.rmdir(tempfile.mkdtemp())",
        "temporary files",
    ),
}
FINE = {
    "fine": "null = open('/dev/null')\nlog = open(__file__ + '.log', 'a')",
    "broken": "raise ValueError('no good')",
    "quits": "raise SystemExit(3)",
}


@pytest.fixture
def ask(tmp_path):
    """Start one; ask it to import: (letter, lines of its answer), its process."""
    for name, (text, _) in MISFITS.items():
        (tmp_path / f"{name}.py").write_text(text + "\n", encoding="utf-8")
    for name, text in FINE.items():
        (tmp_path / f"{name}.py").write_text(text + "\n", encoding="utf-8")
    packages = tmp_path / "packages"
    packages.mkdir()
    for name, (text, _) in CHANGES.items():
        (packages / f"{name}.py").write_text(text + "\n", encoding="utf-8")
    waits = tmp_path / "start"
    waits.write_text("#!/bin/sh\nexec sleep 60\n", encoding="ascii")
    waits.chmod(0o755)
    library = Path(os.environ["FLWR_BIN_DIR"]).parent / "libexec/flwr-native/flwr-cage.so"
    (tmp_path / library.name).symlink_to(library)
    started = []

    def start(app="", cages=False):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.settimeout(60)
        env = {
            **os.environ,
            "BRIDGE": str(BRIDGE),
            "FLWR_APP_FD": str(theirs.fileno()),
            "PACKAGES": str(packages),
            "START": str(waits),
            "APP": app,
            "PYTHONPATH": f"{tmp_path}:{packages}",
            "PYTHONDONTWRITEBYTECODE": "1",
            **({"CAGES": "yes"} if cages else {}),
        }
        process = subprocess.Popen(
            [sys.executable, "-c", MAIN],
            env=env,
            pass_fds=(theirs.fileno(),),
            start_new_session=True,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )
        theirs.close()
        started.append((process, ours))

        def question(*names):
            ours.send(("I" + "\n".join(names)).encode())
            try:
                answer = ours.recv(65536).decode()
            except ConnectionResetError:  # it has ended without a look at the question
                answer = ours.recv(65536).decode()
            return answer[:1], answer[1:].split("\n")

        process.control = ours
        return question, process

    yield start
    for process, ours in started:
        ours.close()
        process.wait(60)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=60)


@pytest.mark.parametrize("name", MISFITS)
def test_misfit(ask, name):
    """It says which module it was, and ends: what the import has left behind ends with it."""
    question, process = ask()
    letter, lines = question("+" + name)
    assert letter == "M" and lines[0] == name
    assert MISFITS[name][1] in lines[1]
    assert process.wait(60) == 0


def test_fits(ask, tmp_path):
    """What cannot be imported is said, where the operator has named it, and hinders nothing."""
    question, process = ask()
    letter, lines = question("+fine", "+broken", "+quits", "+no_such_module", "colorsys")
    assert letter == "R" and "N colorsys" in lines
    assert {line.split(" ")[0] for line in lines} == {"N", "F"}
    # Once: what was there is not told again.
    assert question("colorsys") == ("R", [""])
    os.set_blocking(process.stderr.fileno(), False)
    said = process.stderr.read()
    assert "--preload broken: ValueError: no good" in said
    assert "--preload quits: SystemExit: 3" in said
    assert "--preload no_such_module: ModuleNotFoundError" in said
    assert "fine" not in said


def test_learns_what_is_installed(ask):
    """An app that names a module of its own, or one that is refused, has no effect."""
    question, _ = ask()
    letter, lines = question("-wave", "fine", "wave", "../fine", "colorsys")
    assert letter == "R"
    assert [line for line in lines if line.startswith("N")] == ["N colorsys"]


@pytest.mark.parametrize("name", CHANGES)
def test_changes(ask, name):
    """What one app has imported changes nothing for the others; what the operator names may."""
    question, _ = ask()
    assert question("colorsys", "+" + name)[0] == "R"
    question, process = ask()
    letter, lines = question(name)
    assert letter == "M" and lines[0] == name
    assert CHANGES[name][1] in lines[1]
    assert process.wait(60) == 0


def test_temporary_file(ask):
    """It is noticed also when the directory is known already."""
    question, _ = ask()
    letter, lines = question("+asks_for_folder", "makes_folder")
    assert letter == "M" and lines[0] == "makes_folder"


def test_numpy_misfit(ask, tmp_path):
    """Nobody can leave it out: so there is no zygote, and none is tried again."""
    numpy = tmp_path / "packages" / "numpy"
    numpy.mkdir()
    (numpy / "__init__.py").touch()
    (numpy / "random.py").write_text("import os\nends = os.pipe()\n", encoding="ascii")
    question, _ = ask()
    letter, lines = question()
    assert letter == "U" and "numpy cannot be imported ahead: it keeps pipe" in lines[0]


def test_ended_thread(ask, tmp_path):
    """A thread that was waited for is none, though the kernel may still have it for a moment."""
    text = "import threading\nfor _ in range(50):\n    t = threading.Thread(target=int)\n"
    text += "    t.start()\n    t.join()\n"
    (tmp_path / "packages" / "waits_for_thread.py").write_text(text, encoding="ascii")
    question, _ = ask()
    letter, lines = question("waits_for_thread")
    assert letter == "R" and "N waits_for_thread" in lines


def test_no_program(ask, tmp_path):
    """An app cannot have a package's program run in it."""
    package = tmp_path / "packages" / "program"
    package.mkdir()
    (package / "__init__.py").touch()
    for name in ("__main__.py", "other.py"):
        text = f"open({str(tmp_path / 'ran')!r}, 'a').write(__name__ + ' ')\n"
        (package / name).write_text(text, encoding="ascii")
    question, _ = ask()
    assert question("program.__main__", "program.other")[0] == "R"
    assert (tmp_path / "ran").read_text(encoding="ascii") == "program.other "


# ---- forks ----


def refuses_app(process, *settings):
    """Have it fork, and the fork begin with these settings: does it end before that?"""
    gate, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours, app = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    gate.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    with gate, ours, open(os.devnull, "wb") as null:
        gate.settimeout(60)
        with theirs:
            fds = [theirs.fileno(), null.fileno(), null.fileno()]
            socket.send_fds(process.control, [b"F"], fds)
            said, ((_, _, creds),), _, _ = gate.recvmsg(64, 64)
        assert said == b"P"
        gate.send(b"G")
        assert gate.recv(64) == b"R"
        with app:
            socket.send_fds(gate, [b"B" + b"\0".join(settings)], [app.fileno()])
        answer = gate.recv(64)
    parent = struct.unpack("3i", creds)[0]
    os.kill(parent, signal.SIGKILL)
    os.waitpid(parent, 0)
    return answer == b""


def run_app(process, *settings):
    """Have it fork, and the fork begin and end: what the app says, in lines, and on its gate."""
    gate, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours, app = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with gate, ours, open(os.devnull, "wb") as null:
        for each in (gate, ours):
            each.settimeout(60)
        with theirs:
            fds = [theirs.fileno(), null.fileno(), null.fileno()]
            socket.send_fds(process.control, [b"F"], fds)
            assert gate.recv(64) == b"P"
        gate.send(b"G")
        assert gate.recv(64) == b"R"
        with app:
            socket.send_fds(gate, [b"B" + b"\0".join(settings)], [app.fileno()])
        assert gate.recv(64) == b"B"
        first, *said = ours.recv(65536).decode().split("\n")
        told = b"".join(iter(lambda: gate.recv(65536), b"")).decode()
    os.kill(int(first), signal.SIGKILL)
    os.waitpid(int(first), 0)
    return said, told


SAYS = "fork.socket.send(f'{os.getppid()}\\n'.encode() + '\\n'.join(said).encode())\n"


def test_no_app_without_its_cage(ask):
    """A fork that is to have one, and has none, or cannot make it, ends before the app begins."""
    question, process = ask(cages=True)
    assert question()[0] == "R"
    assert refuses_app(process)
    assert refuses_app(process, b"FLWR_APP_CAGE=no rule")
    assert refuses_app(process, b"FLWR_APP_DIRECTORY=/nowhere", b"FLWR_APP_CAGE=hide /nowhere")
    assert not refuses_app(process, b"FLWR_APP_CAGE=hide /nowhere")
    question, process = ask()
    assert question()[0] == "R"
    assert refuses_app(process, b"FLWR_APP_CAGE=hide /nowhere")
    assert not refuses_app(process)


def test_no_app_without_its_limits(ask):
    question, process = ask()
    assert question()[0] == "R"
    assert refuses_app(process, b"FLWR_APP_RLIMIT_DATA=many")
    assert refuses_app(process, b"FLWR_APP_RLIMIT_NPROC=")


def test_settled(ask, tmp_path):
    """What an app has and can reach is settled when it begins, and its environment says nothing of it."""
    hidden = tmp_path / "hidden"
    hidden.write_text("secret", encoding="ascii")
    app = "import resource\n"
    app += "said = [str(resource.getrlimit(each)) for each in (resource.RLIMIT_DATA, resource.RLIMIT_NPROC)]\n"
    app += "said += [os.getcwd(), os.environ['A_SETTING']]\n"
    app += "said += [name for name in os.environ if name.startswith('FLWR_APP')]\n"
    app += f"try:\n    open({str(hidden)!r})\nexcept PermissionError:\n    said.append('refused')\n" + SAYS
    question, process = ask(app, cages=True)
    assert question()[0] == "R"
    settings = {
        "A_SETTING": "x",
        "FLWR_APP_RLIMIT_DATA": 1 << 30,
        "FLWR_APP_RLIMIT_NPROC": 5000,
        "FLWR_APP_DIRECTORY": "/usr",
        "FLWR_APP_CAGE": f"hide {hidden}",
    }
    said, _ = run_app(process, *(f"{name}={value}".encode() for name, value in settings.items()))
    assert said == [f"({1 << 30}, {1 << 30})", "(5000, 5000)", "/usr", "x", "refused"]


def test_descriptors_of_programs(ask):
    """A program that an app executes has neither gate nor socket of it."""
    app = "import subprocess\nlisting = ['ls', '-l', '/proc/self/fd']\n"
    app += "done = subprocess.run(listing, close_fds=False, stdout=subprocess.PIPE, check=True)\n"
    app += "said = done.stdout.decode().splitlines()\n" + SAYS
    question, process = ask(app)
    assert question()[0] == "R"
    said, _ = run_app(process)
    assert any("/dev/null" in line for line in said)
    assert not any("socket:" in line for line in said)


def test_make_way(ask, tmp_path):
    """Only for what the app's folder has as a module."""
    folder = tmp_path / "app"
    for name in ("colorsys", "wave"):
        (folder / name).mkdir(parents=True)
    (folder / "wave" / "__init__.py").touch()
    for name in ("stringprep.md", "tabnanny.py"):
        (folder / name).touch()
    app = f"import sys\nfork.modules.make_way({str(folder)!r})\n"
    app += "names = ['colorsys', 'stringprep', 'tabnanny', 'wave']\n"
    app += "said = [name for name in names if name in sys.modules]\n" + SAYS
    question, process = ask(app)
    assert question("colorsys", "stringprep", "tabnanny", "wave")[0] == "R"
    assert run_app(process)[0] == ["colorsys", "stringprep"]


def test_tells_imports(ask, tmp_path):
    """But no program."""
    package = tmp_path / "packages" / "program"
    package.mkdir()
    for name in ("__init__.py", "__main__.py"):
        (package / name).touch()
    app = "import colorsys, program.__main__\nsaid = []\n" + SAYS + "fork.replied()\n"
    question, process = ask(app)
    assert question()[0] == "R"
    told = run_app(process)[1]
    assert told[0] == "L"
    assert sorted(told[1:].split()) == ["colorsys", "program"]


def test_tells_needed_first(ask, tmp_path):
    """What a package has imported comes before all of it."""
    package = tmp_path / "packages" / "package"
    package.mkdir()
    (package / "__init__.py").write_text("import package.part, colorsys\n", encoding="ascii")
    (package / "part.py").touch()
    question, process = ask("import package\nsaid = []\n" + SAYS + "fork.replied()\n")
    assert question()[0] == "R"
    assert run_app(process)[1][1:].split() == ["colorsys", "package.part", "package"]


def test_tells_imports_in_order(ask):
    """As they came, also when the app has removed the module that was last before."""
    app = "import sys\ndel sys.modules[fork.modules.last]\nimport colorsys, wave\n"
    app += "said = [name for name, _ in fork.modules.late() if name in ('colorsys', 'wave')]\n" + SAYS
    question, process = ask(app)
    assert question()[0] == "R"
    assert run_app(process)[0] == ["colorsys", "wave"]


def test_imports_that_cannot_be_told(ask):
    """The app ends as it would."""
    app = "import sys\nsaid = []\n" + SAYS
    app += "sys.modules[3] = sys\nfork.replied()\nfork.gate.send(b'end')\n"
    question, process = ask(app)
    assert question()[0] == "R"
    assert run_app(process)[1] == "end"


# What a module does when it is imported, and how an app sees it.
TAKEN_BACK = {
    "sets_variable": (
        "import os\nos.environ['FLAG'] = 'on'",
        "os.environ.get('FLAG')",
        ["None", "on"],
    ),
    "filters_warnings": (
        "import warnings\nwarnings.filterwarnings('ignore', 'x', FutureWarning, 'y', 3)",
        "[f[0] for f in warnings.filters if f[2] == FutureWarning and f[4] == 3]",
        ["[]", "['ignore']"],
    ),
    "does_at_exit": (
        "import atexit\n@atexit.register\ndef at_exit(): pass\n",
        "atexit._ncallbacks() - first",
        ["0", "1"],
    ),
    "adds_name": (
        "import atexit, logging, os\nclass Own: pass\nlogging.own = Own\nos.environ['FLAG'] = 'on'",
        "hasattr(logging, 'own')",
        ["False", "True"],
    ),
    "has_none": (
        "import logging, os, sys\nsys.modules['none'] = logging.none = None\nos.environ['FLAG'] = 'on'",
        "hasattr(logging, 'none')",
        ["True", "True"],
    ),
}


@pytest.mark.parametrize("name", TAKEN_BACK)
def test_taken_back(ask, tmp_path, name):
    """What a module changes is changed for the apps that import it, and for no others."""
    text, seen, expected = TAKEN_BACK[name]
    (tmp_path / "packages" / f"{name}.py").write_text(text + "\n", encoding="ascii")
    app = "import atexit, importlib.util, logging, os, sys, warnings\n"
    app += f"first = atexit._ncallbacks()\nname = {name!r}\n"
    app += f"look = lambda: [str({seen}), str(name in sys.modules)]\n"
    app += "found = importlib.util.find_spec(name).origin\nsaid = [found] + look()\n"
    app += f"import {name} as module\nsaid += look()\n"
    app += "said += [str(module.__spec__.loader is module.__loader__)]\n"
    app += f"import {name}\nsaid += look()\n"
    question, process = ask(app + SAYS)
    letter, lines = question(name)
    assert letter == "R" and f"N {name}" in lines
    origin, *said = run_app(process)[0]
    assert origin == str(tmp_path / "packages" / f"{name}.py")
    without, with_it = expected
    assert said == [without, "False", with_it, "True", "True", with_it, "True"]


@pytest.fixture
def changer(tmp_path):
    """A package that changes things, as torch does, and others that need it; the file in which is
    written who was imported, and what was done at the exit."""
    file = tmp_path / "done"
    texts = {
        "changer/__init__": "import changer.deep, os\nos.environ['FLAG'] = 'changer'\n",
        "changer/deep": "import atexit\natexit.register(lambda: done('exit'))\n",
        "changer/late": "import changer\n",
        "user": "import changer, os\nos.environ['USER_FLAG'] = 'user'\n",
    }
    (tmp_path / "packages" / "changer").mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        head = f"def done(what):\n    with open({str(file)!r}, 'a') as file:\n"
        head += "        file.write(what + ' ')\n\ndone(__name__)\n"
        path = tmp_path / "packages" / f"{name}.py"
        path.write_text(head + text, encoding="ascii")
    return file


CHANGED = "[os.environ.get(name, '-') for name in ('FLAG', 'USER_FLAG')]"
HERE = "['+' if 'changer.' + n in sys.modules else '-' for n in ('deep', 'late')]"


@pytest.mark.parametrize(
    "does, said, done",
    [
        ("", "- - - -", ""),
        ("import changer.deep", "changer - + -", "exit "),
        ("import changer.late", "changer - + +", "exit "),
        ("import user", "changer user + -", "exit "),
        ("import changer, user, changer.deep", "changer user + -", "exit "),
        ("import user, changer.late", "changer user + +", "exit "),
        ("os.environ['FLAG'] = 'own'; import user", "own user + -", "exit "),
    ],
)
def test_comes_back(ask, changer, does, said, done):
    """With what it needs, once, and only then; an app's own setting stays."""
    app = f"import os, sys\n{does}\nsaid = {CHANGED} + {HERE}\n" + SAYS
    question, process = ask(app)
    assert question("changer", "user")[0] == "R"
    assert question("changer.late")[0] == "R"
    imported = changer.read_text(encoding="ascii")
    assert sorted(imported.split()) == ["changer", "changer.deep", "changer.late", "user"]
    assert run_app(process)[0] == said.split()
    assert changer.read_text(encoding="ascii") == imported + done


def test_own_one_comes(ask, changer, tmp_path):
    """Where an app has one of that name."""
    folder = tmp_path / "app"
    folder.mkdir()
    (folder / "changer.py").write_text("deep = 'own'\n", encoding="ascii")
    app = f"import os, sys\nsys.path.insert(0, {str(folder)!r})\nfork.modules.make_way({str(folder)!r})\n"
    app += f"import changer\nsaid = [changer.deep] + {CHANGED}\n"
    question, process = ask(app + SAYS)
    assert question("changer", "user")[0] == "R"
    assert run_app(process)[0] == ["own", "-", "-"]


ENDS = """
import atexit, ctypes, os, sys, types

out = os.open(FILE, os.O_WRONLY | os.O_CREAT | os.O_APPEND)


class Says:
    def __init__(self, word):
        self.word = word

    def __del__(self, write=os.write, out=out):
        write(out, (self.word + "\\n").encode())


held = Says("held")
cycle = [Says("in a cycle")]
cycle.append(cycle)
module = sys.modules["module_of_app"] = types.ModuleType("module_of_app")
module.held = Says("held by a module")
module.module = module
exec("def function(): pass", vars(module))
sys.displayhook = Says("held by sys")
sys.stdout = open(FILE + ".stdout", "w")
print("printed")
kept = open(FILE + ".file", "w")
kept.write("written")
libc = ctypes.CDLL(None)
libc.fopen.restype = ctypes.c_void_p
libc.fputs(b"written in C", ctypes.c_void_p(libc.fopen((FILE + ".c").encode(), b"w")))
atexit.register(os.write, out, b"exit handler\\n")
"""


def test_own_end(ask, tmp_path):
    """A fork whose app has replied ends as Python does, as far as an app can see."""
    seen = {}
    for how in ("replied", "other"):
        file = tmp_path / how
        app = "import sys, types\nsys.modules['app'] = types.ModuleType('app')\n"
        app += f"sys.modules['app'].FILE = {str(file)!r}\n"
        app += f"exec({ENDS!r}, vars(sys.modules['app']))\n"
        app += "said = []\n" + SAYS
        question, process = ask(app + ("fork.replied()\n" if how == "replied" else ""))
        assert question()[0] == "R"
        run_app(process)
        texts = [Path(f"{file}.{name}").read_text("ascii") for name in ("stdout", "file", "c")]
        seen[how] = sorted(file.read_text("ascii").splitlines()), texts
    words = ["exit handler", "held", "held by a module", "held by sys", "in a cycle"]
    assert seen["other"] == (words, ["printed\n", "written", "written in C"])
    assert seen["replied"] == seen["other"]


def test_folder_that_is_not_utf8(ask, tmp_path):
    """The app of a run lies where its node has said."""
    folder = os.fsencode(tmp_path) + b"/\xff"
    os.mkdir(folder)
    with open(folder + b"/the_app.py", "w", encoding="ascii") as file:
        file.write("app = object()\ndef flwr_preload(): pass\n")
    question, process = ask()
    assert question()[0] == "R"
    process.control.send(b"A" + folder + b"\na\n1\nh")
    assert process.control.recv(65536)[:1] == b"R"
