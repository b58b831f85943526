"""What a process must not have, or have changed, that will fork app processes: what a fork would not
survive, or would share with others."""

import atexit
import ctypes
import os
import signal
import sys
import time

THREAD_END_S = 0.05  # a thread that was waited for may be there a little longer
WARNING = 30  # the level of logging that is not set up
HARMLESS = {"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"}

libc = ctypes.PyDLL(None, use_errno=True)


class Unfit(Exception):
    """Its text says why this interpreter cannot be a zygote."""


def count_threads():
    return len(os.listdir("/proc/self/task"))


def keeps_threads():
    """Are there threads that do not end by themselves when the process forks? (OpenBLAS's do.)"""
    if count_threads() == 1:
        return False
    pid = libc.fork()  # with the handlers of libraries, and none of Python's
    if pid == 0:
        libc._exit(0)
    os.waitpid(pid, 0)
    latest = time.monotonic() + THREAD_END_S
    while count_threads() > 1:
        if time.monotonic() > latest:
            return True
        time.sleep(0.001)
    return False


def open_files():
    """{descriptor: what it is} of those that two processes should not share."""
    found = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{name}")
            with open(f"/proc/self/fdinfo/{name}", encoding="ascii") as file:
                flags = int(file.read().split("flags:")[1].split()[0], 8)
        except OSError:  # that of the listing
            continue
        appends = target.startswith("/") and not target.startswith("/dev/") and flags & os.O_APPEND
        if int(name) > 2 and target not in HARMLESS and not appends:
            found[int(name)] = target
    return found


def has_children():
    try:
        with open("/proc/thread-self/children", encoding="ascii") as file:
            return bool(file.read().split())
    except OSError:  # a kernel without such lists
        return False


def handlers():
    return [signal.getsignal(number) for number in range(1, 32)]


def settings():
    """{what a change of it is: its value} of what all code of a process shares."""
    find = sys.modules.get
    root = getattr(find("logging"), "root", None)
    return {
        "it changes sys.path": list(sys.path),
        "it registers an exit handler": getattr(atexit, "_ncallbacks", int)(),
        "it changes how warnings are shown": getattr(find("warnings"), "showwarning", None),
        "it sets up logging": (root.level, list(root.handlers)) if root else (WARNING, []),
        "it uses the directory of temporary files": [
            getattr(find("tempfile"), name, None) for name in ("tempdir", "_name_sequence")
        ],
    }


class State:
    """What an import must leave as it is. What an app has imported is there for all others, which
    know nothing of it: so it must leave the settings of the process, too, when it is learnt, but for
    those that aside.py takes back. What an operator has named may change them."""

    def __init__(self, learnt):
        self.files, self.handlers, self.folder = open_files(), handlers(), os.getcwd()
        if learnt and "tempfile" in sys.modules:
            sys.modules["tempfile"]._name_sequence = None  # made again with the next name
        self.settings = settings() if learnt else {}

    def complaint(self):
        """What has changed, as the end of a sentence; None: nothing."""
        if keeps_threads():
            return "it starts a thread"
        if has_children():
            return "it starts a process"
        for number, target in open_files().items():
            if self.files.get(number) != target:
                return f"it keeps {target} open"
        if handlers() != self.handlers:
            return "it handles a signal"
        if os.getcwd() != self.folder:
            return "it changes the directory"
        now = settings() if self.settings else {}
        return next((what for what in now if now[what] != self.settings[what]), None)
