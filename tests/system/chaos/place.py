"""Where a damaged node runs: in a network and with a disk that are this test's alone, which root
can make. They end with this process, and nobody else sees them."""

import contextlib
import ctypes
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from federation.processes import wait_until

CLONE_NEWNS, CLONE_NEWNET = 0x00020000, 0x40000000
# More than all that a node has on it at rest, and than the file of a message in memory.
DISK_BYTES = 192 << 20
TABLE = "table inet chaos { chain packets { type filter hook output priority 0; }; }"

libc = ctypes.CDLL(None, use_errno=True)


def can_make():
    return os.geteuid() == 0 and bool(shutil.which("nft"))


def call(function, *arguments):
    if function(*arguments):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


@contextlib.contextmanager
def own_namespaces():
    """Meanwhile this thread, and what it starts, has mounts of its own, and loopback alone."""
    kinds = {"mnt": CLONE_NEWNS, "net": CLONE_NEWNET}
    before = {name: os.open(f"/proc/thread-self/ns/{name}", os.O_RDONLY) for name in kinds}
    here = Path.cwd()
    try:
        call(libc.unshare, CLONE_NEWNS | CLONE_NEWNET)
        subprocess.run(["mount", "--make-rprivate", "/"], check=True)
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        yield
    finally:
        # Who shares this thread's directory would share the mounts.
        wait_until(lambda: len(os.listdir("/proc/self/task")) == 1, "this is the only thread")
        for name, fd in before.items():
            call(libc.setns, fd, kinds[name])
            os.close(fd)
        os.chdir(here)


class Link:
    """All packets from and to a port on loopback."""

    def __init__(self, port):
        self.port = port
        self.tell(TABLE)

    def tell(self, *lines):
        subprocess.run(["nft", "-f", "-"], input="\n".join(lines) + "\n", text=True, check=True)

    def rule(self, *rules):
        """These hold from now on, in both directions, and no others."""
        ends = [f"tcp {end} {self.port} {rule}" for end in ("dport", "sport") for rule in rules]
        self.tell(
            "flush chain inet chaos packets",
            *(f"add rule inet chaos packets {each}" for each in ends),
        )

    def black_hole(self):
        self.rule("drop")

    def slow(self, percent, rate):
        """So many of a hundred packets are lost; others beyond so many KiB a second, too."""
        self.rule(
            f"numgen random mod 100 < {percent} drop",
            f"limit rate over {rate} kbytes/second burst 128 kbytes drop",
        )

    def mend(self):
        self.rule()


class Disk:
    """A small one. Where none can be made, it is that of the folder, which is never filled up."""

    def __init__(self, folder, own):
        self.folder = folder
        self.ballast = folder / "ballast"
        folder.mkdir()
        if own:
            options = ["-o", f"size={DISK_BYTES},mode=755", "chaos", folder]
            subprocess.run(["mount", "-t", "tmpfs", *options], check=True)

    def fill(self):
        """Until nothing more can be written to it."""
        left = os.statvfs(self.folder)
        with contextlib.suppress(OSError), open(self.ballast, "wb", buffering=0) as file:
            os.posix_fallocate(file.fileno(), 0, left.f_bavail * left.f_frsize)
            while file.write(bytes(4096)):
                pass

    def free(self):
        self.ballast.unlink()


class Place:
    """Folders that apps of another user can reach, too."""

    def __init__(self, folder, own):
        self.folder = folder
        self.own = own
        self.disk = Disk(folder / "disk", own)
        self.home = self.disk.folder / "home"
        self.tmp = self.disk.folder / "tmp"
        self.words = folder / "words"
        for each in (self.home, self.tmp, self.words):
            each.mkdir()
        for each in (self.tmp, self.words):
            each.chmod(0o1777)


@contextlib.contextmanager
def own_place():
    own = can_make()
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))
    folder.chmod(0o755)
    with own_namespaces() if own else contextlib.nullcontext():
        yield Place(folder, own)
    shutil.rmtree(folder)
