"""The zygote: imports what apps need, and forks an app process for each message.

    agent ── control socket ── zygote
      │                          │ clone: a child of the agent
      ├── flwr-app-start <───────┘ (this program until it has forked the app process)
      │     └── app process: goes on where serve() was called
      └── gate of each fork, to both

What passes over the sockets is described in common/launch/zygote_socket.h.

The zygote of a run is in the cage of the run's app from its start, loads that app, calls its
flwr_preload(), and forks processes that have the app loaded.
"""

import contextlib
import ctypes
import functools
import gc
import importlib
import importlib.machinery
import os
import platform
import resource
import signal
import site
import socket
import sys
import sysconfig

from .aside import Aside
from .leaving import Leaving
from .preload import Preloaded, preload_function
from .state import State, Unfit, count_threads, libc, open_files

DATAGRAM_MAX = 32768
SETTING_PDEATHSIG, SETTING_DUMPABLE, SETTING_NAME, SETTING_SUBREAPER = 1, 4, 15, 36  # of prctl()
CLONE_PARENT = 0x8000
CLONE = {"x86_64": 56, "aarch64": 220, "riscv64": 220}  # the numbers of the system call
CAGE_LIBRARY = "flwr-cage.so"  # beside flwr-app-start
# Settings that say what a fork is to do before it begins; all others go to the environment.
LIMITS = {
    b"FLWR_APP_RLIMIT_DATA": resource.RLIMIT_DATA,
    b"FLWR_APP_RLIMIT_NPROC": resource.RLIMIT_NPROC,
}
DIRECTORY, CAGE = b"FLWR_APP_DIRECTORY", b"FLWR_APP_CAGE"
FAILED = 125  # as flwr-app-start ends when it cannot start a program


class Misfit(Exception):
    """module, why: it cannot be in a zygote."""

    def __init__(self, module, why):
        super().__init__(why)
        self.module, self.why = module, why


# ---- modules ----


@functools.lru_cache(maxsize=None)
def places():
    """The folders of what is installed for this interpreter."""
    found = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    found.update(packages_places())
    return tuple(os.path.join(path, "") for path in found if path)


def packages_places():
    found = {sysconfig.get_path(name) for name in ("purelib", "platlib")}
    found.update(getattr(site, "getsitepackages", list)())
    if site.ENABLE_USER_SITE:
        found.add(site.getusersitepackages())
    return {path for path in found if path}


def is_installed(spec):
    """Does a module with this spec belong to the interpreter, and to no app?"""
    if spec is None or not spec.origin:
        return False
    return spec.origin in ("built-in", "frozen") or spec.origin.startswith(places())


def is_in(folder, name):
    """Would this name be imported from the folder, if it comes first? (A folder without
    __init__.py comes after all that is installed.)"""
    spec = importlib.machinery.PathFinder.find_spec(name, [folder])
    return spec is not None and spec.loader is not None


def depends():
    """Lines of files that change when packages are installed or removed."""
    lines = []
    for path in sorted(packages_places() | {os.path.realpath(sys.executable)}):
        try:
            lines.append(f"F {os.stat(path).st_mtime_ns} {path}")
        except OSError:
            lines.append(f"F 0 {path}")
    return [line for line in lines if line.isprintable()]


def package_of(name):
    return name.partition(".")[0]


def needed_first(names):
    """Package by package, in the order in which their imports ended, as sys.modules has it: so one that
    changes the process comes before those that need it, and is not put aside as a part of them. (The
    first module of a package has the whole package imported, with what it needs.)"""
    packages, ends = {}, {}
    for number, name in enumerate(names):
        package = package_of(name)
        packages.setdefault(package, []).append(name)
        if ends.get(package) is None or name == package:
            ends[package] = number
    return [name for package in sorted(packages, key=ends.get) for name in packages[package]]


def is_program(name):
    """Would its import run a program?"""
    return "__main__" in name.split(".")


class Modules:
    """base: modules that each app process has before its app is loaded; known: modules that a fork
    need not tell of; refused: packages that stay out; ahead: {package: its modules that were imported
    for the app}; last: the module that came last; aside: those that an app gets when it imports them."""

    def __init__(self):
        self.base, self.known, self.refused = set(), set(), set()
        self.aside = Aside()
        self.ahead, self.last = {}, None

    def make_way(self, folder):
        """Forget what was imported ahead where this folder, which comes first when its app imports,
        has something of that name."""
        names = set()
        with contextlib.suppress(OSError):  # the app will not be found, either
            names.update(entry.partition(".")[0] for entry in os.listdir(folder))
        for package in names.intersection(self.ahead):
            if is_in(folder, package):
                for name in self.ahead[package]:
                    sys.modules.pop(name, None)
                    self.aside.drop(name)

    def find(self, name):
        return sys.modules.get(name) or self.aside.get(name)

    def here(self):
        """{name: module}, also of those that are aside."""
        found = {name: self.aside.get(name) for name in self.aside.groups}
        found.update(sys.modules)
        return found

    def note(self):
        here = self.here()
        self.known.update(here)
        self.last = next(reversed(sys.modules))
        self.ahead = {}
        for name in here.keys() - self.base:
            self.ahead.setdefault(package_of(name), []).append(name)

    def import_checked(self, name, load, learnt=False):
        """Import by load(); Misfit when no fork could live with what it did."""
        state = State(learnt)
        try:
            if learnt:
                self.aside.load(load)
            else:
                load()
        finally:
            complaint = state.complaint()
            if complaint:
                raise Misfit(name, complaint)

    def import_one(self, name, learnt):
        """Import it, if it is installed: was it new?"""
        package = package_of(name)
        if not self.find(package):
            if not is_installed(importlib.machinery.PathFinder.find_spec(package)):
                return False
        try:
            self.import_checked(name, lambda: importlib.import_module(name), learnt)
        except Misfit:
            raise
        except BaseException:  # also what ends a program
            return False
        return True

    def import_named(self, name):
        """Import what the operator has named."""
        try:
            self.import_checked(name, lambda: importlib.import_module(name))
        except Misfit:
            raise
        except BaseException as ex:
            print(f"--preload {name}: {type(ex).__name__}: {ex}", file=sys.stderr)

    def import_all(self, names):
        """Import those that are not there yet; the names of those that were learnt and are new."""
        learned = []
        for name in names:
            sign, name = (name[0], name[1:]) if name[0] in "+-" else ("", name)
            if sign == "-":
                self.refused.add(name)
                continue
            self.known.add(name)
            if self.find(name) or is_program(name) or package_of(name) in self.refused:
                continue
            if sign:
                self.import_named(name)
            elif self.import_one(name, learnt=True):
                learned.append(name)
        self.note()
        return learned

    def late(self):
        """Names and modules that came since note(): they are the last ones. To look at all would copy
        the pages that they lie in."""
        modules = sys.modules
        found = []
        for name in reversed(modules if self.last in modules else list(modules)):
            if name == self.last:
                break
            found.append((name, modules[name]))
        return found[::-1]

    def new(self):
        """What is installed, and was imported since note()."""
        return needed_first(
            name
            for name, module in self.late()
            if name not in self.known
            and name.isascii()
            and not is_program(name)
            and package_of(name) not in self.refused
            and getattr(getattr(module, "__spec__", None), "name", None) == name
            and is_installed(module.__spec__)
        )


# ---- forks ----


def renew(find):
    """What each interpreter has of its own is new in each fork; find(): a module. (Python sees to
    `random`.)"""
    if find("numpy.random"):
        find("numpy.random").seed()
    if find("torch"):
        find("torch").default_generator.seed()
    if find("multiprocessing.process"):
        find("multiprocessing.process").current_process().authkey = os.urandom(32)
    if find("tempfile"):
        find("tempfile").tempdir = None


def parent(gate, start, out, err):
    """In the child of the agent: fork the app process, and become flwr-app-start. Returns in the
    app process."""
    gate.send(b"P")
    if gate.recv(64) != b"G":
        os._exit(0)
    os.setsid()
    libc.prctl(SETTING_SUBREAPER, 1, 0, 0, 0)
    os.dup2(out, 1)
    os.dup2(err, 2)
    own = os.getpid()
    executed, closed_by_exec = os.pipe()
    pid = os.fork()
    if pid:
        os.execv(start, [start, "-a", str(pid), str(os.getppid())])
    libc.prctl(SETTING_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    os.close(closed_by_exec)
    os.read(executed, 1)
    os.close(executed)
    if os.getppid() != own:
        os._exit(0)


def limit(which, most):
    """The hard limit, too: an app must not raise it again."""
    _, hard = resource.getrlimit(which)
    if hard != resource.RLIM_INFINITY:
        most = min(most, hard)
    resource.setrlimit(which, (most, most))


def settle(special, apply_cage):
    """What an app has and can reach. apply_cage: None where none has a cage."""
    if count_threads() > 1:
        raise Unfit("a thread runs in the fork")  # it would have no cage
    for name, which in LIMITS.items():
        if name in special:
            limit(which, int(special[name]))
    if DIRECTORY in special:
        os.chdir(special[DIRECTORY])
    if (apply_cage is None) != (CAGE not in special):
        raise Unfit("it has no cage, or is to have none")
    if apply_cage and apply_cage(special[CAGE]) != 0:
        raise Unfit("its cage cannot be made")


def receive(sock, most):
    """A datagram, and at most so many descriptors, which no program that is executed has."""
    data, fds, _, _ = socket.recv_fds(sock, DATAGRAM_MAX, most)
    for fd in fds:
        os.set_inheritable(fd, False)  # recv_fds() passes no flags on
    return data, fds


class Fork:
    """An app process: socket (of its app)."""

    def __init__(self, gate, zygote):
        self.gate, self.modules, self.leaving = gate, zygote.modules, zygote.leaving
        self.apply_cage, self.parent = zygote.apply_cage, os.getppid()
        self.flower_load_app, self.preloaded = zygote.load_app, zygote.preloaded
        self.socket = None
        self.app, self.names = None, []  # when it was loaded here

    def begin(self):
        """Wait for the app. A fork that fails here ends: its app is started plainly then."""
        try:
            self.wait()
        except BaseException as ex:
            with contextlib.suppress(BaseException):
                print(f"fork of the zygote: {ex}", file=sys.stderr, flush=True)
            os._exit(FAILED)

    def wait(self):
        renew(self.modules.find)
        self.gate.send(b"R")
        data, fds = receive(self.gate, 1)
        if data[:1] != b"B" or len(fds) != 1:
            os._exit(0)  # it is not wanted
        special = {}
        for setting in data[1:].split(b"\0"):
            name, is_setting, value = setting.partition(b"=")
            if name in LIMITS or name in (DIRECTORY, CAGE):
                special[name] = value
            elif is_setting and name != b"FLWR_APP_FD":
                os.environb[name] = value
        settle(special, self.apply_cage)
        # A change of what a process may do can make the kernel forget it.
        libc.prctl(SETTING_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != self.parent:
            os._exit(0)
        self.socket = socket.socket(fileno=fds[0])
        self.socket.settimeout(None)
        self.gate.send(b"B")

    def load_app(self, app_dir, *names):
        """The ClientApp; that of the run's zygote is there already. names: FAB id, version, hash."""
        if self.preloaded:
            return self.preloaded.app
        self.modules.make_way(app_dir)
        self.app, self.names = self.flower_load_app(app_dir, *names), names
        return self.app

    def replied(self):
        """Tell what was imported, so that later forks have it, and whether the app has a flwr_preload.
        An app may have left sys.modules in any state."""
        self.leaving.replied = True
        with contextlib.suppress(Exception):
            preloads = self.app is not None and preload_function(self.app, self.modules)
            self.tell(self.modules.new())
            if preloads:
                self.gate.setblocking(False)
                self.gate.send(("A" + "\n".join(self.names)).encode())

    def tell(self, names):
        while names:
            text = "L"
            while names and len(text) + len(names[0]) + 1 < DATAGRAM_MAX:
                text += names.pop(0) + "\n"
            self.gate.setblocking(False)
            self.gate.send(text.encode("ascii"))  # if it cannot be, another time


class Zygote:
    def __init__(self, control, start, load_app, cages):
        self.control, self.start, self.load_app = control, start, load_app
        self.preloaded = None  # in that of a run
        self.apply_cage = self.cage_library().cage_apply if cages else None
        self.modules = Modules()
        self.depends = depends()
        with open("/proc/self/comm", "rb") as file:
            self.name = file.read().rstrip(b"\n")
        self.leaving = Leaving(self.modules)

    def cage_library(self):
        path = os.path.join(os.path.dirname(self.start), CAGE_LIBRARY)
        try:
            return ctypes.PyDLL(path)
        except OSError as ex:
            raise Unfit(f"{CAGE_LIBRARY} cannot be loaded: {ex}") from ex

    def check(self):
        """Is there what is needed, and nothing that hinders?"""
        if platform.machine() not in CLONE or sys.maxsize < 2**32:
            raise Unfit("it cannot fork on this kind of machine")
        if count_threads() > 1:
            raise Unfit("a thread runs in Python from its start")
        for number, target in open_files().items():
            if number != self.control.fileno():
                raise Unfit(f"{target} is open in Python from its start")
        libc.prctl(SETTING_DUMPABLE, 0, 0, 0, 0)  # no app reads in it
        libc.prctl(SETTING_NAME, b"flwr-zygote", 0, 0, 0)

    def load(self, load):
        """Flower, and what it needs."""
        try:
            self.modules.import_checked("flwr", load)
        except Misfit as ex:
            raise Unfit(f"flwr cannot be imported ahead: {ex.why}") from ex
        except Exception as ex:
            raise Unfit(f"flwr cannot be imported: {type(ex).__name__}") from ex
        try:
            # Later releases of numpy import it when it is used.
            self.modules.import_one("numpy.random", learnt=False)
        except Misfit as ex:
            raise Unfit(f"numpy cannot be imported ahead: {ex.why}") from ex
        self.modules.base = set(sys.modules)
        self.modules.note()
        self.leaving.arm()

    def answer(self, data):
        """Import what it names."""
        gc.disable()
        learned = self.modules.import_all(data.decode("ascii").split())
        self.leaving.arm()
        self.ready(f"N {name}" for name in learned)

    def answer_app(self, data):
        """Load the app of a run, in whose cage this process is, and have it preload."""
        app_dir, *names = os.fsdecode(data).split("\n")
        os.environ.pop("FLWR_APP_SANDBOX", None)  # it is for the bridge
        self.preloaded = Preloaded(self.load_app, app_dir, names, self.modules)
        gc.disable()
        self.modules.note()
        self.leaving.arm(own=app_dir)
        self.leaving.keep(self.preloaded)
        if self.apply_cage:
            again = self.cage_library().cage_again
            self.apply_cage = lambda _: again()
        self.ready([])

    def ready(self, learned):
        gc.collect()
        gc.freeze()
        lines = [*learned, *self.depends]
        self.depends = []
        self.control.send(("R" + "\n".join(lines)).encode("utf-8", "replace")[:DATAGRAM_MAX])

    def fork(self, fds):
        """The Fork, in it; None in the zygote."""
        gate = socket.socket(fileno=fds[0])
        number = CLONE[platform.machine()]
        pid = libc.syscall(number, CLONE_PARENT | signal.SIGCHLD, 0, 0, 0, 0)
        if pid < 0:
            with contextlib.suppress(OSError):  # its agent may have given it up
                gate.send(b"E%d" % ctypes.get_errno())
        if pid:
            gate.close()
            os.close(fds[1])
            os.close(fds[2])
            return None
        own = False
        try:
            parent(gate, self.start, fds[1], fds[2])
            libc.prctl(SETTING_NAME, self.name, 0, 0, 0)
            own = True
        finally:
            if not own:
                os._exit(125)
        self.control.close()
        os.close(fds[1])
        os.close(fds[2])
        libc.prctl(SETTING_DUMPABLE, 1, 0, 0, 0)  # others of the user may look from here on
        return Fork(gate, self)

    def serve(self):
        """Until the agent has gone, which ends the process; returns a Fork in each fork."""
        while True:
            data, fds = receive(self.control, 3)
            if not data:
                os._exit(0)
            if data[:1] == b"I":
                self.answer(data[1:])
            elif data[:1] == b"A" and not self.preloaded:
                self.answer_app(data[1:])
            elif data[:1] == b"F" and len(fds) == 3:
                fork = self.fork(fds)
                if fork:
                    return fork
            else:
                os._exit(1)


def serve(control, start, load, load_app, cages=False):
    """Be the zygote of the agent at the other end of control; start: flwr-app-start's path; load()
    imports Flower; load_app(folder, FAB id, version, hash) an app; cages: each app has a cage.
    Returns in each app process, when it has got its app: a Fork."""
    collects = gc.isenabled()  # an operator's hook may have said no
    try:
        zygote = Zygote(control, start, load_app, cages)
        zygote.check()
        zygote.load(load)
        fork = zygote.serve()
    except Misfit as ex:
        control.send(f"M{ex.module}\n{ex.why}".encode("utf-8", "replace"))
        os._exit(0)
    except Unfit as ex:
        control.send(f"U{ex}".encode("utf-8", "replace"))
        os._exit(0)
    if collects:
        gc.enable()
    fork.begin()
    return fork
