"""Programs that are started, watched and ended by number; nothing of them is left over."""

import contextlib
import http.client
import os
import random
import re
import select
import signal
import socket
import ssl
import subprocess
import time
import uuid

MARKER = "FEDERATION_LAB_ID"
POLL_S = 0.02
PORTS = range(20000, 32000)  # below those that Linux takes for connections by itself


class Late(AssertionError):
    """Something did not happen in time."""


def wait_until(condition, what, seconds=30.0, every=POLL_S):
    """Wait for condition() to be true and return its value. The only place that polls."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Late(f"not within {seconds:g} s: {what}")
        time.sleep(every)


def free_ports(number):
    """Ports that nobody uses now, and that no connection gets before a server has them. All are held
    until the last is known, so that they differ."""
    holders = []
    try:
        while len(holders) < number:
            holder = socket.socket()
            holders.append(holder)
            try:
                holder.bind(("127.0.0.1", random.choice(PORTS)))
            except OSError:
                holders.pop().close()
        return [holder.getsockname()[1] for holder in holders]
    finally:
        for holder in holders:
            holder.close()


def accepts(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def healthy(port, tls):
    """Does an HTTP server there say so? One may take connections before it can answer."""
    if tls:
        anyone = ssl._create_unverified_context()  # whether it is there, not who it is
        connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=5, context=anyone)
    else:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def parent_of(pid):
    """The parent's pid; None when the process is gone."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stat:
            return int(stat.read().rpartition(")")[2].split()[1])
    except (OSError, ValueError, IndexError):
        return None


def alive(pid):
    """Is it there, and not only a zombie?"""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stat:
            return stat.read().rpartition(")")[2].split()[0] not in "ZX"
    except (OSError, IndexError):
        return False


def all_pids():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def tree_of(pid):
    """pid and its descendants, parents first."""
    children = {}
    for each in all_pids():
        children.setdefault(parent_of(each), []).append(each)
    tree = [pid]
    for each in tree:
        tree.extend(children.get(each, []))
    return tree


def command_of(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


def program_below(reaper):
    """The pid of the program that this reaper has started, which is its first child; None: gone."""
    try:
        with open(f"/proc/{reaper}/task/{reaper}/children", encoding="ascii") as file:
            return int((file.read().split() or [0])[0]) or None
    except (OSError, ValueError):
        return None


# A reaper stands before them: what is said to the program itself it would not hand on.
NOT_HANDED_ON = (signal.SIGKILL, signal.SIGSTOP, signal.SIGCONT)


class Process:
    """One started program; its output is in a file."""

    def __init__(self, name, argv, log, env, cwd, terminal=None):
        self.name = name
        self.log = log
        self.argv = [str(argument) for argument in argv]
        with open(log, "ab") as file:
            output = file if terminal is None else terminal
            self.started = time.monotonic()
            self.popen = subprocess.Popen(
                self.argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=env,
                cwd=cwd,
                start_new_session=True,
            )
        self.lingers = None  # a line of its log after which a second SIGTERM spares the rest
        self.below_reaper = False
        self.last_pid = None
        self.pidfd = os.pidfd_open(self.popen.pid)

    @property
    def pid(self):
        """That of the program, also where a reaper has started it (whose is popen.pid)."""
        if not self.below_reaper:
            return self.popen.pid
        self.last_pid = program_below(self.popen.pid) or self.last_pid
        return self.last_pid

    def stands_below_reaper(self):
        """It is one of ours: from now on pid is that of the program proper, which must be there."""
        self.below_reaper = True
        wait_until(lambda: self.pid or not self.running(), f"{self.name} starts", 10)

    def running(self):
        return self.popen.poll() is None

    def wait(self, seconds=30.0):
        """Its exit status (negative: the signal)."""
        poll = select.poll()  # any number of descriptors may be open
        poll.register(self.pidfd, select.POLLIN)
        if not poll.poll(seconds * 1000):
            raise Late(f"{self.name} has not ended within {seconds:g} s")
        return self.popen.wait()

    def signal(self, number):
        if not self.running():
            return
        if self.below_reaper and number in NOT_HANDED_ON:
            os.kill(self.pid, number)
        else:
            self.popen.send_signal(number)

    def stop(self, seconds=30.0):
        """SIGTERM; its status. One that stays is killed, and reported."""
        start = self.size()
        self.signal(signal.SIGTERM)
        try:
            if self.lingers:
                self.wait_lingering(start, seconds)
            return self.wait(seconds)
        except Late:
            self.kill()
            raise

    def wait_lingering(self, start, seconds):
        """Until it only stays for others' sake, and tell it that nobody needs that; or it ends."""
        ended = lambda: not self.running()
        wait_until(lambda: ended() or self.find(self.lingers, start), f"{self.name} stops", seconds)
        self.signal(signal.SIGTERM)

    def kill(self):
        self.signal(signal.SIGKILL)
        return self.wait()

    def close(self):
        if self.pidfd >= 0:
            os.close(self.pidfd)
            self.pidfd = -1

    def size(self):
        """How much it has written so far: a place in the log to search from."""
        return os.path.getsize(self.log)

    def text(self, start=0):
        with open(self.log, "rb") as file:
            file.seek(start)
            return file.read().decode(errors="replace")

    def find(self, pattern, start=0):
        return re.search(pattern, self.text(start), re.MULTILINE)

    def wait_log(self, pattern, seconds=30.0, start=0):
        """Wait for a line; its match. Ends early when the program does."""

        def seen():
            ended = not self.running()
            found = self.find(pattern, start)
            if not found and ended:
                raise Late(f"{self.name} ended with {self.popen.returncode}, without: {pattern}")
            return found

        return wait_until(seen, f"{self.name} logs {pattern!r}", seconds)


class Guard:
    """Starts programs in a folder, knows all that they start, and leaves nothing running."""

    def __init__(self, folder):
        self.folder = folder
        self.folder.mkdir(parents=True, exist_ok=True)
        self.id = uuid.uuid4().hex
        self.processes = []
        self.terminal = None

    @contextlib.contextmanager
    def output_to(self, terminal):
        """Programs that are started meanwhile write to this descriptor, not to a file."""
        self.terminal = terminal
        yield
        self.terminal = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()

    def start(self, name, argv, env, cwd=None):
        log = self.folder / f"{name}.log"
        env = {**env, MARKER: self.id}
        process = Process(name, argv, log, env, cwd or self.folder, self.terminal)
        self.processes.append(process)
        return process

    def marked(self):
        """Everything alive that was started in here, by whomever: the environment is inherited."""
        mark = f"{MARKER}={self.id}".encode()
        found = []
        for pid in all_pids():
            if pid == os.getpid():
                continue
            try:
                with open(f"/proc/{pid}/environ", "rb") as environ:
                    if mark in environ.read().split(b"\0") and alive(pid):
                        found.append(pid)
            except OSError:
                continue
        return found

    def wait_gone(self, pids, seconds=60.0):
        """Wait until none of these is left."""
        wait_until(lambda: not any(alive(pid) for pid in pids), f"{pids} are gone", seconds)

    def end(self):
        """End all, in reverse order; what had to be swept up: {pid: command} of those left over."""
        for process in reversed(self.processes):
            try:
                process.stop()
            except Late:
                continue
        try:
            # A launcher of Flower's looks for its parent between two waits, which grow.
            wait_until(lambda: not self.marked(), "helpers of the programs are gone", 60.0)
        except Late:
            pass
        left = {pid: command_of(pid) for pid in self.marked()}
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        for process in self.processes:
            process.close()
        self.processes = []
        return left
