"""The reaper that our programs start as: whatever ends, nothing is left below it. No SuperLink is
there; a stand-in is in the program's place where that does not matter."""

import json
import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from federation.processes import Guard, alive, free_ports, wait_until

pytestmark = pytest.mark.ours

HERE = Path(__file__).parent
SECONDS = 30
TREE = 200
# Of each kind of end: 240 in all with scripts/test --chaos.
TRIES = 40 if os.environ.get("FLWR_TEST_CHAOS") else 3
AS_USER = ["setpriv", "--reuid=20002", "--regid=20002", "--clear-groups", "--"]
SANITIZED = os.environ.get("FLWR_SANITIZE") == "1"


@pytest.fixture
def guard(tmp_path):
    with Guard(tmp_path / "guard") as guard:
        yield guard


# ---- with a stand-in ----


class StandIn:
    """The reaper, with a script (Python) in its program's place."""

    def __init__(self, guard, folder):
        self.guard = guard
        self.program = folder / "libexec/flwr-native/flower-supernode"
        self.program.parent.mkdir(parents=True)
        (folder / "bin").mkdir()
        self.reaper = Path(
            shutil.copy2(Path(os.environ["FLWR_BIN_DIR"]) / "flower-supernode", folder / "bin")
        )

    def write(self, script):
        self.program.write_text(f"#!{sys.executable} -EsS\n{script}", encoding="utf-8")
        self.program.chmod(0o755)

    def start(self, script, *arguments):
        self.write(script)
        return self.guard.start("standin", [self.reaper, *arguments], dict(os.environ))


@pytest.fixture
def standin(guard, tmp_path):
    return StandIn(guard, tmp_path)


def status_of(pid):
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    return dict(line.split(":\t", 1) for line in lines)


@pytest.mark.skipif(SANITIZED, reason="sanitizers take memory of their own")
def test_small(standin):
    """One thread, and less than 1 MiB of memory, all told."""
    process = standin.start("import time; print('here', flush=True); time.sleep(1000)")
    process.wait_log("here")
    status = status_of(process.popen.pid)
    assert int(status["VmRSS"].split()[0]) <= 1024
    assert status["Threads"] == "1"
    process.signal(signal.SIGTERM)
    assert process.wait() == -signal.SIGTERM


def test_command_line_and_environment(standin):
    """The program has its arguments and environment, and a process group of its own."""
    process = standin.start(
        "import json, os, sys\n"
        "own = int(os.environ['FLWR_REAPER'].split(':')[0])\n"
        "assert own == os.getppid() and os.getpgid(0) == os.getpid()\n"
        "print(json.dumps([sys.argv[1:], os.environ['HOME']]))\n",
        "--superlink",
        "a b",
        "",
    )
    assert process.wait() == 0
    assert json.loads(process.text()) == [["--superlink", "a b", ""], os.environ["HOME"]]


@pytest.mark.parametrize("status", [0, 1, 2, 77])
def test_exit_status(standin, status):
    process = standin.start(f"raise SystemExit({status})")
    assert process.wait() == status
    assert process.text() == ""


@pytest.mark.parametrize(
    "number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM, signal.SIGABRT]
)
def test_end_by_signal(standin, number):
    """It says so in a line, and ends likewise."""
    process = standin.start(f"import os; os.kill(os.getpid(), {int(number)})")
    assert process.wait() == -number
    assert process.find(rf"^flower-supernode: process \d+ was killed by {number.name}$")


def test_no_program(standin):
    """As a shell says it."""
    standin.write("")
    standin.program.chmod(0o644)
    process = standin.guard.start("refused", [standin.reaper], {})
    assert process.wait() == 126 and process.find(r"cannot start /.*: Permission denied$")
    standin.program.unlink()
    process = standin.guard.start("missing", [standin.reaper], {})
    assert process.wait() == 127 and process.find(r"cannot start /.*: No such file or directory$")


SHOW_SIGNALS = """
import signal, sys
wanted = signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD, signal.SIGTSTP}
signal.pthread_sigmask(signal.SIG_BLOCK, wanted)
print('here', flush=True)
while True:
    number = signal.sigwait(wanted)
    print('got', signal.Signals(number).name, flush=True)
    if number == signal.SIGUSR2:
        sys.exit(0)
"""


def test_signals(standin):
    """All are handed on, a second one, too."""
    process = standin.start(SHOW_SIGNALS)
    process.wait_log("^here")
    sent = ["SIGTERM", "SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGWINCH", "SIGCONT"]
    for number, name in enumerate(sent, 1):
        process.signal(getattr(signal, name))
        wait_until(lambda n=number: process.text().count("got ") == n, f"{name} is handed on")
    process.signal(signal.SIGUSR2)
    assert process.wait() == 0
    assert process.text().split()[2::2] == [*sent, "SIGUSR2"]


class Terminal:
    """Its end that people are at."""

    def __init__(self, fd):
        self.fd = fd
        self.said = b""

    def write(self, text):
        os.write(self.fd, text)

    def read_until(self, text, count=1):
        while self.said.count(text) < count:
            assert select.select([self.fd], [], [], SECONDS)[0], self.said
            self.said += os.read(self.fd, 4096)


def test_terminal(standin):
    """Ctrl-C reaches the program once; Ctrl-Z stops it and its reaper, a shell's fg both go on."""
    standin.write(SHOW_SIGNALS)
    ours, theirs = pty.openpty()
    terminal = Terminal(ours)
    shell = subprocess.Popen(
        [sys.executable, HERE / "job_shell.py", standin.reaper],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    try:
        terminal.read_until(b"here")
        terminal.write(b"\x03")
        terminal.read_until(b"got SIGINT")
        terminal.write(b"\x1a")
        terminal.read_until(b"both stopped")
        terminal.read_until(b"got SIGCONT")
        terminal.write(b"\x1c")
        terminal.read_until(b"got SIGQUIT")
        # Behind what a second one of the above would be.
        (reaper,) = children_of(shell.pid)
        os.kill(reaper, signal.SIGUSR2)
        terminal.read_until(b"ended with 0")
        assert terminal.said.count(b"got SIGINT") == terminal.said.count(b"got SIGCONT") == 1
        assert terminal.said.count(b"both stopped") == 1
        assert shell.wait(SECONDS) == 0
    finally:
        shell.kill()
        shell.wait()
        os.close(ours)


def children_of(pid):
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    return [int(child) for child in text.split()]


ASK_RESTART = "import os; os.write(int(os.environ['FLWR_REAPER'].split(':')[1]), b'r')\n"


def test_restart(standin, tmp_path):
    """Started again, when it wants that, after it was killed and after an error; 0 is the end."""
    count = tmp_path / "count"
    process = standin.start(
        f"{ASK_RESTART}"
        f"file = open({str(count)!r}, 'a'); file.write('x'); file.close()\n"
        f"n = os.path.getsize({str(count)!r})\n"
        "if n == 1: os.kill(os.getpid(), 9)\n"
        "raise SystemExit(1 if n == 2 else 0)\n"
    )
    assert process.wait() == 0
    assert count.read_text(encoding="utf-8") == "xxx"
    assert process.find(r"was killed by SIGKILL$") and process.find(r"starts again in 1 s$")
    assert process.find(r"starts again in 2 s$")


def test_no_restart_with_wrong_options(standin):
    process = standin.start(f"{ASK_RESTART}raise SystemExit(2)")
    assert process.wait() == 2


def test_stopped_while_it_waits(standin):
    """The end is that of the program, whatever asked for a new start."""
    process = standin.start(f"{ASK_RESTART}raise SystemExit(1)")
    process.wait_log(r"starts again in 1 s$")
    process.signal(signal.SIGTERM)
    assert process.wait() == 1
    assert process.text().count("starts again") == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to start it as another user")
def test_restart_without_processes(guard, reachable):
    """No process is to be had for the new start: it waits on."""
    standin = StandIn(guard, reachable)
    standin.write(f"{ASK_RESTART}import signal\nprint('here', flush=True)\nsignal.pause()")
    process = guard.start("standin", [*AS_USER, standin.reaper], dict(os.environ))
    process.wait_log("^here")
    limit = [*AS_USER, "prlimit", f"--pid={process.popen.pid}"]
    subprocess.run([*limit, "--nproc=0:"], check=True)
    os.kill(children_of(process.popen.pid)[0], signal.SIGKILL)
    process.wait_log(r"no process: .*(?s:.*)starts again in 2 s$")
    subprocess.run([*limit, "--nproc=100:"], check=True)
    process.wait_log(r"^here(?s:.*)^here")
    process.signal(signal.SIGTERM)
    assert process.wait() == -signal.SIGTERM


def test_groups(standin, tmp_path):
    """Control groups that the program names are removed when it is killed; others stay. (A group is
    a directory, and is removed as an empty one.)"""
    for name in ("app-1-1", "app-1-2", "app-12-1"):
        (tmp_path / "groups" / name).mkdir(parents=True)
    prefix = f"{tmp_path}/groups/app-1-"
    process = standin.start(
        "import os, signal\n"
        f"os.write(int(os.environ['FLWR_REAPER'].split(':')[1]), b'g{prefix}\\0')\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert process.wait() == -signal.SIGKILL
    assert [path.name for path in (tmp_path / "groups").iterdir()] == ["app-12-1"]


def test_other_children(standin):
    """Those of a shell that became the reaper are spared; what the program leaves is not."""
    standin.write(
        "import os, subprocess, sys\n"
        "away = subprocess.Popen(['setsid', 'sh', '-c', 'sleep 1000 & echo $!'], text=True,"
        " stdout=subprocess.PIPE)\n"
        "print('left', away.stdout.readline(), flush=True)\n"
    )
    # Behind a tick of the kernel's clock of starts.
    shell = f"sleep 1000 & echo before $!; sleep 0.05; exec {standin.reaper}"
    process = standin.guard.start("shell", ["/bin/sh", "-c", shell], dict(os.environ))
    assert process.wait() == 0
    before = int(process.find(r"^before (\d+)").group(1))
    assert process.find(r": [12] process(es)? that it left (was|were) ended$")  # sh, a zombie
    assert not alive(int(process.find(r"^left (\d+)").group(1)))
    assert alive(before)
    os.kill(before, signal.SIGKILL)


# ---- with our programs, and a tree that does not want to end ----


class Tree:
    """Processes below a node that end by SIGKILL alone: our node starts them as a launcher."""

    def __init__(self, guard, number):
        self.fifo = guard.folder / f"fifo-{number}"
        os.mkfifo(self.fifo)
        self.fd = os.open(self.fifo, os.O_RDONLY | os.O_NONBLOCK)
        (closed,) = free_ports(1)
        argv = [Path(os.environ["FLWR_BIN_DIR"]) / "flower-supernode", "--insecure", "--no-state"]
        argv += ["--superlink", f"127.0.0.1:{closed}", "--log-level", "debug"]
        script = f"{sys.executable} -ES {HERE / 'tree.py'} {TREE} {self.fifo} {{address}}"
        argv += ["--clientapp-command", script]
        env = {**os.environ, "FLWR_HOME": str(guard.folder / "home"), "TMPDIR": str(guard.folder)}
        self.node = guard.start(f"node-{number}", argv, env)
        self.node.stands_below_reaper()
        self.wait_grown()
        self.reaper, self.program = self.node.popen.pid, self.node.pid
        self.pidfds = [os.pidfd_open(pid) for pid in (self.reaper, self.program)]

    def wait_grown(self):
        """All are there: each has written a byte."""
        there = 0
        while there < TREE:
            assert select.select([self.fd], [], [], SECONDS)[0], f"{there} of {TREE}"
            there += len(os.read(self.fd, 4096))

    def wait_gone(self):
        """Reaper, program and tree; how long the tree outlives the first of the two, in seconds."""
        assert select.select(self.pidfds, [], [], SECONDS)[0]
        start = time.monotonic()
        wait_until(self.is_empty, "the tree is empty", SECONDS, 0.001)
        lasted = time.monotonic() - start
        for pidfd in self.pidfds:
            assert select.select([pidfd], [], [], SECONDS)[0]
        return lasted

    def is_empty(self):
        try:
            return os.read(self.fd, 4096) == b""
        except BlockingIOError:
            return False

    def close(self):
        for fd in (self.fd, *self.pidfds):
            os.close(fd)


def terminated(tree):
    os.kill(tree.reaper, signal.SIGTERM)


def program_killed(tree):
    os.kill(tree.program, signal.SIGKILL)


def program_killed_alone(tree):
    """What else would end the tree cannot: what is in a worker's place, and the app's parent."""
    (keeper,) = children_of(tree.program)
    for pid in (*children_of(keeper), keeper):
        os.kill(pid, signal.SIGSTOP)
    os.kill(tree.program, signal.SIGKILL)


def program_crashed(tree):
    os.kill(tree.program, signal.SIGSEGV)


def reaper_killed(tree):
    os.kill(tree.reaper, signal.SIGKILL)


def both_killed(tree):
    os.kill(tree.reaper, signal.SIGSTOP)
    os.kill(tree.program, signal.SIGKILL)
    os.kill(tree.reaper, signal.SIGKILL)


ENDS = [
    terminated,
    program_killed,
    program_killed_alone,
    program_crashed,
    reaper_killed,
    both_killed,
]


@pytest.mark.parametrize("end", ENDS)
def test_tree(guard, end):
    """200 processes that fork on, have sessions of their own and ignore SIGTERM are gone."""
    lasted = []
    # The tree's grace, 3 s, is the node's and no matter of this.
    for number in range(1 if end is terminated and TRIES == 3 else TRIES):
        tree = Tree(guard, number)
        end(tree)
        lasted.append(tree.wait_gone())
        tree.close()
        left = [path.name for path in guard.folder.glob("flwr-*")]
        assert end is both_killed or not left, left
    print(f"{end.__name__}: tree empty after {max(lasted):.3f} s at most")
    print(" ".join(f"{each:.3f}" for each in sorted(lasted)))
    # Seen at a load of 14 on two cores: 0.3 s.
    assert max(lasted) <= (5.0 if TRIES < 40 else 1.0)
