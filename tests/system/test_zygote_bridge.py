"""What the zygote imports, and what it does not keep: clientapp/run/bridge/zygote.py by itself."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.ours

BRIDGE = Path(__file__).parents[2] / "clientapp/run/bridge"

MAIN = """
import importlib.util, os, socket
spec = importlib.util.spec_from_file_location("zygote", os.environ["BRIDGE"] + "/zygote.py")
zygote = importlib.util.module_from_spec(spec)
spec.loader.exec_module(zygote)
sock = socket.socket(fileno=int(os.environ.pop("FLWR_APP_FD")))
zygote.serve(sock, "/nowhere/flwr-app-start", lambda: None)
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
    started = []

    def start():
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.settimeout(60)
        env = {
            **os.environ,
            "BRIDGE": str(BRIDGE),
            "FLWR_APP_FD": str(theirs.fileno()),
            "PYTHONPATH": str(tmp_path),
            "PYTHONDONTWRITEBYTECODE": "1",
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
            answer = ours.recv(65536).decode()
            return answer[:1], answer[1:].split("\n")

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
