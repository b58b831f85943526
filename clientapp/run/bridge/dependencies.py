"""The dependencies of an app, installed at run time where the node's operator allows that.

What the app's pyproject.toml asks for and the interpreter does not have goes into a folder of the
app, by uv, else pip, in a process of its own, once for each list and interpreter:

    ROOT/PUBLISHER.NAME.DIGEST.ABI/requirements.txt, constraints.txt, packages/
    ROOT/.PUBLISHER.NAME.DIGEST.ABI.new   the same while it is made
    ROOT/.PUBLISHER.NAME.DIGEST.ABI.lock  held by whoever makes it

docs/deployment.md describes it for operators.
"""

import collections
import contextlib
import fcntl
import hashlib
import importlib
import importlib.metadata
import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import time

FLOWER = "flwr"
PREFIX = "FLWR_APP_DEPENDENC"
LINES_KEPT = 20  # of what a tool says
WORDS_MAX = 600  # characters of its last sentence that go into the reply
NAMES_MAX = 10  # packages in a sentence
DIGITS = 16  # of the digest in a folder's name

# Variables that tell the tools of other places to take packages from.
PLACES = (
    "PIP_INDEX_URL PIP_EXTRA_INDEX_URL PIP_FIND_LINKS PIP_NO_INDEX PIP_ONLY_BINARY PIP_NO_BINARY "
    "UV_INDEX UV_DEFAULT_INDEX UV_INDEX_URL UV_EXTRA_INDEX_URL UV_FIND_LINKS UV_NO_INDEX"
).split()


class DependencyError(Exception):
    """Its text is the reason of the error reply."""


class Stopped(BaseException):
    """SIGTERM has come."""


class Late(BaseException):
    """The time is over."""


class Settings:
    """root, index (None: the tool's own; "none", a URL or a directory), timeout_s."""

    def __init__(self, root, index, timeout_s):
        self.root, self.index, self.timeout_s = root, index, timeout_s
        self.index_is_url = bool(index) and "://" in index


def take_settings():
    """What the agent has set for this process, and no child of it needs; None: nothing is
    installed."""
    root = os.environ.pop(PREFIX + "IES", None)
    index = os.environ.pop(PREFIX + "Y_INDEX", None)
    timeout_s = os.environ.pop(PREFIX + "Y_TIMEOUT", "600")
    return Settings(root, index, float(timeout_s)) if root else None


# ---- what is wanted ----


def plain(name):
    """A package's name as all its spellings have it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def requirement_type():
    for name in ("packaging.requirements", "pip._vendor.packaging.requirements"):
        with contextlib.suppress(ImportError):
            return importlib.import_module(name).Requirement
    raise DependencyError(
        "The app's dependencies could not be installed: the interpreter has neither the package "
        "packaging nor pip to read them with"
    )


def read_wanted(app_dir):
    """The requirements of the app, but for flwr, which is there, and for what is for others."""
    try:
        import tomllib
    except ModuleNotFoundError:
        import tomli as tomllib  # flwr brings it

    with open(os.path.join(app_dir, "pyproject.toml"), "rb") as file:
        listed = tomllib.load(file).get("project", {}).get("dependencies", [])
    if not isinstance(listed, list) or not all(isinstance(each, str) for each in listed):
        raise DependencyError(
            "The app's dependencies could not be installed: [project].dependencies in its "
            "pyproject.toml is no list of texts"
        )
    read = requirement_type()
    wanted = []
    for text in listed:
        try:
            if not text.isprintable():  # lines of their own in the tool's files
                raise ValueError("it has control characters")
            wanted.append(read(text))
        except ValueError as ex:
            first = str(ex).splitlines()[0]
            raise DependencyError(
                f"The app's dependencies could not be installed: {text!r} is none: {first}"
            ) from ex
    return [
        each
        for each in wanted
        if plain(each.name) != FLOWER and (each.marker is None or each.marker.evaluate())
    ]


def is_there(wanted, seen=()):
    """Does the interpreter have what satisfies it, with what its extras ask for?"""
    if wanted.url or plain(wanted.name) in seen:
        return not wanted.url
    try:
        found = importlib.metadata.distribution(wanted.name)
    except importlib.metadata.PackageNotFoundError:
        return False
    try:
        if not wanted.specifier.contains(found.version, prereleases=True):
            return False
    except (TypeError, ValueError):  # no version, or none that can be compared
        return False
    seen = (*seen, plain(wanted.name))
    for text in (found.requires or ()) if wanted.extras else ():
        more = type(wanted)(text)
        if more.marker is None or more.marker.evaluate({"extra": ""}):
            continue  # asked for without the extra
        if any(more.marker.evaluate({"extra": each}) for each in wanted.extras):
            if not is_there(more, seen):
                return False
    return True


def constraints(present):
    """What is installed must agree with what is there."""
    listed = [f"{each.name}{each.specifier}" for each in present]
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        listed.insert(0, f"{FLOWER}=={importlib.metadata.version(FLOWER)}")
    return listed


def listing(names):
    shown = ", ".join(names[:NAMES_MAX])
    return shown if len(names) <= NAMES_MAX else f"{shown} and {len(names) - NAMES_MAX} more"


def failure(names, cause):
    return DependencyError(
        f"The app's dependencies could not be installed: {listing(names)}: {cause}"
    )


def check_index(settings, missing):
    """Refuse at once what the operator's index rules out."""
    if settings.index is None or settings.index_is_url:
        return
    names = [each.name for each in missing]
    if settings.index == "none":
        raise failure(names, "not there, and this node has no index (--dependency-index none)")
    by_url = [each.name for each in missing if each.url]
    if by_url:
        raise failure(by_url, "asked for by a URL, and this node takes wheels of a folder only")


# ---- the tool ----


def end_group(process):
    """Kill it and what it has started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


class Tool:
    """name, command, said (its last lines)."""

    def __init__(self):
        beside = os.path.dirname(sys.executable)
        path = beside + os.pathsep + os.environ.get("PATH", os.defpath)
        uv = [sys.executable, "-m", "uv"] if importlib.util.find_spec("uv") else None
        found = uv or shutil.which("uv", path=path)
        self.said = collections.deque(maxlen=LINES_KEPT)
        if found:
            self.name, self.command = "uv", uv or [found]
        elif importlib.util.find_spec("pip"):
            self.name, self.command = "pip", [sys.executable, "-m", "pip"]
        else:
            raise DependencyError(
                "The app's dependencies could not be installed: the interpreter has neither uv "
                "nor pip"
            )

    def arguments(self, settings, app_dir, place):
        index = settings.index
        if self.name == "uv":
            # As in Flower's worker, the app's own [tool.uv] holds, unless the operator says more.
            words = ["--directory", app_dir] if index is None else ["--no-config"]
            words += ["--no-progress", "--color", "never", "pip", "install"]
            words += ["--python", sys.executable]
        else:
            words = ["--disable-pip-version-check", "--no-input", "--no-color", "install"]
            words += ["--progress-bar", "off", "--no-warn-script-location"]
        words += ["--target", os.path.join(place, "packages")]
        words += ["-c", os.path.join(place, "constraints.txt")]
        words += ["-r", os.path.join(place, "requirements.txt")]
        if settings.index_is_url:
            words += ["--index-url", index]
        elif index is not None:
            words += ["--no-index", "--find-links", index, "--only-binary", ":all:"]
            words += ["--offline"] if self.name == "uv" else []
        return self.command + words

    def environment(self, settings, place):
        env = dict(os.environ, PIP_USER="0")  # --user does not go with a folder
        if settings.index is not None:
            for name in PLACES:
                env.pop(name, None)
            if not settings.index_is_url:
                env["PIP_CONFIG_FILE"] = os.devnull
        if not os.access(os.path.expanduser("~"), os.W_OK):
            env.setdefault("UV_CACHE_DIR", os.path.join(place, "cache"))
            env.setdefault("PIP_NO_CACHE_DIR", "1")
        return env

    def run(self, settings, app_dir, place, lock, bound):
        """Its exit status. It holds the lock, too, so that nobody else begins before it is gone."""
        process = None
        try:
            with bound.whole():  # else nobody would know that it was started
                process = subprocess.Popen(
                    self.arguments(settings, app_dir, place),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    cwd=settings.root,
                    env=self.environment(settings, place),
                    pass_fds=(lock,),
                    start_new_session=True,
                )
            for line in process.stdout:
                text = line.decode("utf-8", "replace").rstrip()
                if text:
                    self.said.append(text)
            return process.wait()
        finally:
            if process:
                with bound.whole():
                    end_group(process)

    def last_words(self, hidden):
        """Its last sentence, in one line, without what belongs to this machine."""
        lines = [line.strip() for line in self.said] or ["nothing"]
        starts = [n for n, line in enumerate(lines) if re.match(r"(?i)error:|×", line)]
        lines = lines[starts[-1] :] if starts else lines[-1:]
        words = " ".join(re.sub(r"[×╰─▶│├]+", " ", " ".join(lines)).split())
        for text in hidden:
            words = words.replace(text, "...") if text and len(text) > 2 else words
        return words[:WORDS_MAX]


# ---- the folder ----


@contextlib.contextmanager
def locked(path, how=fcntl.LOCK_EX):
    """The descriptor of a lock that one process has at a time; the file goes with its last user."""
    while True:
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, how)
            if os.path.exists(path) and os.path.samestat(os.fstat(lock), os.stat(path)):
                try:
                    yield lock
                finally:
                    with contextlib.suppress(FileNotFoundError):
                        os.unlink(path)
                return
        finally:
            os.close(lock)


class Bound:
    """Late or Stopped is raised inside, at most one of them."""

    def __init__(self, timeout_s):
        self.timeout_s = timeout_s
        self.is_whole = False
        self.raised = None  # what waits for the end of what is whole

    def interrupt(self, number, frame):
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        self.raised = Late if number == signal.SIGALRM else Stopped
        if not self.is_whole:
            raise self.raised

    @contextlib.contextmanager
    def whole(self):
        """Nothing is raised before the end of what is inside."""
        before = self.raised
        self.is_whole = True
        try:
            yield
        finally:
            self.is_whole = False
            if self.raised is not before:
                raise self.raised

    def __enter__(self):
        signals = (signal.SIGALRM, signal.SIGTERM)
        self.before = [(each, signal.signal(each, self.interrupt)) for each in signals]
        signal.setitimer(signal.ITIMER_REAL, self.timeout_s)
        return self

    def __exit__(self, *error):
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in self.before:
            signal.signal(number, handler)


def folder_name(fab_id, requirements, limits, index):
    """Another list, interpreter or index has another folder."""
    about = [requirements, limits, index, sys.prefix, sys.version_info[:2]]
    digest = hashlib.sha256(json.dumps(about).encode()).hexdigest()[:DIGITS]
    abi = f"{sys.implementation.cache_tag}-{sysconfig.get_platform()}"
    return f"{fab_id.replace('/', '.')}.{digest}.{abi}"


def check_root(root):
    """A user who can write there could put a package into any app."""
    about = os.stat(root)
    if about.st_uid != os.geteuid() or about.st_mode & 0o022:
        raise DependencyError(
            "The app's dependencies could not be installed: the folder for them belongs to "
            "somebody else, or others may write to it"
        )


def sweep(root):
    """Remove what is half made and nobody works on: an app process was killed."""
    for name in os.listdir(root):
        if name.startswith(".") and name.endswith(".new"):
            path = os.path.join(root, name[: -len("new")] + "lock")
            with contextlib.suppress(OSError), locked(path, fcntl.LOCK_EX | fcntl.LOCK_NB):
                shutil.rmtree(os.path.join(root, name), ignore_errors=True)


def drop_flower(packages):
    """A dependency may have asked for flwr: the one that is running stays."""
    for name in os.listdir(packages):
        if name == FLOWER or re.fullmatch(FLOWER + r"-[^-]*\.dist-info", name):
            shutil.rmtree(os.path.join(packages, name), ignore_errors=True)


def write_lines(path, lines):
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(line + "\n" for line in lines)


def write_back(root):
    """So that a crash of the machine leaves no package without its contents."""
    for folder, _, names in os.walk(root):
        for name in names:
            path = os.path.join(folder, name)
            if not os.path.islink(path):
                with open(path, "rb") as file:
                    os.fsync(file.fileno())


class Installation:
    """One list of packages for one app."""

    def __init__(self, settings, app_dir, fab_id, missing, present):
        self.settings, self.app_dir, self.fab_id = settings, app_dir, fab_id
        self.names = [each.name for each in missing]
        self.requirements = sorted(map(str, missing))
        self.constraints = constraints(present)
        self.tool = Tool()
        name = folder_name(fab_id, self.requirements, self.constraints, settings.index)
        self.place = os.path.join(settings.root, name)
        self.scratch = os.path.join(settings.root, f".{name}.new")
        self.lock = os.path.join(settings.root, f".{name}.lock")

    def blamed(self, words):
        """Those that the tool names, or all."""
        said = plain(words)
        pattern = r"(?<![a-z0-9]){}(?![a-z0-9])"
        named = [n for n in self.names if re.search(pattern.format(re.escape(plain(n))), said)]
        return named or self.names

    def make(self, lock, bound):
        began = time.monotonic()
        count = f"{len(self.names)} package{'s' if len(self.names) > 1 else ''}"
        print(
            f"installing {count} for the app {self.fab_id} with {self.tool.name}: "
            + listing(self.requirements),
            flush=True,
        )
        shutil.rmtree(self.scratch, ignore_errors=True)
        os.mkdir(self.scratch, 0o700)
        os.mkdir(os.path.join(self.scratch, "packages"))
        write_lines(os.path.join(self.scratch, "requirements.txt"), self.requirements)
        write_lines(os.path.join(self.scratch, "constraints.txt"), self.constraints)
        status = self.tool.run(self.settings, self.app_dir, self.scratch, lock, bound)
        if status != 0:
            print("\n".join(self.tool.said), file=sys.stderr, flush=True)
            hidden = (self.settings.index, self.settings.root, os.path.expanduser("~"))
            words = self.tool.last_words(hidden)
            raise failure(self.blamed(words), f"{self.tool.name} says: {words}")
        shutil.rmtree(os.path.join(self.scratch, "cache"), ignore_errors=True)
        drop_flower(os.path.join(self.scratch, "packages"))
        write_back(self.scratch)
        os.rename(self.scratch, self.place)
        took = time.monotonic() - began
        print(f"installed {count} for the app {self.fab_id} in {took:.1f} s", flush=True)

    def run(self):
        """packages of the folder, made if it is not there."""
        try:
            with Bound(self.settings.timeout_s) as bound:
                if not os.path.isdir(self.place):
                    sweep(self.settings.root)
                    with locked(self.lock) as lock:
                        if not os.path.isdir(self.place):
                            try:
                                self.make(lock, bound)
                            finally:
                                shutil.rmtree(self.scratch, ignore_errors=True)
        except Late:
            print("\n".join(self.tool.said), file=sys.stderr, flush=True)
            limit = f"{self.settings.timeout_s:g} s (--dependency-timeout)"
            cause = f"{self.tool.name} has not done it within {limit}"
            raise failure(self.names, cause) from None
        except Stopped:
            os.kill(os.getpid(), signal.SIGTERM)  # as it would have ended at once
            raise failure(self.names, "the app process was told to stop") from None
        except OSError as ex:
            cause = f"{type(ex).__name__}: {ex.strerror}"
            raise failure(self.names, cause) from ex
        return os.path.join(self.place, "packages")


def use(packages):
    """For this process, in front of what the interpreter has, and for programs that it starts."""
    sys.path.insert(0, packages)
    importlib.invalidate_caches()
    for name, first in (("PYTHONPATH", packages), ("PATH", os.path.join(packages, "bin"))):
        rest = os.environ.get(name)
        os.environ[name] = first + os.pathsep + rest if rest else first


def install(settings, app_dir, fab_id):
    """Have what the app needs, or raise DependencyError."""
    wanted = read_wanted(app_dir)
    present = [each for each in wanted if is_there(each)]
    missing = [each for each in wanted if each not in present]
    if not missing:
        return
    check_index(settings, missing)
    check_root(settings.root)
    use(Installation(settings, app_dir, fab_id, missing, present).run())
