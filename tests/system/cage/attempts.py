"""Attempts of an app to get out of its cage. Each says "done", or the name of the error that it met.

The test copies this file into an app; the order has paths, ports and numbers of what is outside."""

import ctypes
import errno
import faulthandler
import json
import os
import resource
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

libc = ctypes.CDLL(None, use_errno=True)
MACHINE = os.uname().machine
# Numbers of system calls on x86_64 and aarch64.
NUMBERS = {
    "ptrace": (101, 117),
    "mount": (165, 40),
    "umount2": (166, 39),
    "unshare": (272, 97),
    "setns": (308, 268),
    "process_vm_readv": (310, 270),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "io_uring_setup": (425, 425),
    "pidfd_open": (434, 434),
    "pidfd_getfd": (438, 438),
    "pidfd_send_signal": (424, 424),
    "keyctl": (250, 219),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
}
NEW_USER, NEW_MOUNTS, NEW_NET = 0x10000000, 0x00020000, 0x40000000


def call(name, *arguments):
    number = NUMBERS[name][MACHINE == "aarch64"]
    given = [
        ctypes.c_char_p(each) if isinstance(each, bytes) else ctypes.c_long(each)
        for each in arguments
    ]
    result = libc.syscall(ctypes.c_long(number), *given)
    if result < 0:
        raise OSError(ctypes.get_errno(), name)
    return result


def forked(what):
    """In a child, so that nothing stays changed. What it says."""
    ours, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            said = outcome(what)
        except BaseException as error:
            said = repr(error)
        os.write(theirs, said.encode())
        os._exit(0)
    os.close(theirs)
    with open(ours, "rb") as pipe:
        said = pipe.read().decode()
    os.waitpid(pid, 0)
    if said != "done":
        raise Refused(said)


class Refused(Exception):
    pass


def outcome(what):
    try:
        what()
    except Refused as refused:
        return str(refused)
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error))
    return "done"


# ---- files ----


def read(path):
    with open(path, "rb") as file:
        if not file.read(64):
            raise Refused("empty")


def write(path):
    with open(path, "ab") as file:
        file.write(b"x")


def read_by_link(path, folder):
    link = f"{folder}/link"
    os.symlink(path, link)
    try:
        read(link)
    finally:
        os.unlink(link)


def hard_link(path, folder):
    os.link(path, f"{folder}/hard")
    read(f"{folder}/hard")


def rename_race(path, folder):
    """A directory is exchanged for a link to another one again and again while it is read."""
    inside, outside = f"{folder}/race", f"{folder}/other"
    os.mkdir(inside)
    Path(inside, os.path.basename(path)).write_text("", encoding="utf-8")
    os.symlink(os.path.dirname(path), outside)
    pid = os.fork()
    if pid == 0:
        while True:
            os.rename(inside, f"{folder}/third")
            os.rename(outside, inside)
            os.rename(inside, outside)
            os.rename(f"{folder}/third", inside)
    try:
        last = Refused("empty")
        for _ in range(3000):
            try:
                return read(f"{inside}/{os.path.basename(path)}")
            except OSError as error:
                if error.errno != errno.ENOENT:
                    last = error
            except Refused:
                pass
        raise last
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        for each in (inside, f"{folder}/third"):
            if os.path.isdir(each) and not os.path.islink(each):
                shutil.rmtree(each)
        for each in (inside, outside):
            if os.path.islink(each):
                os.unlink(each)


def move_away(path):
    """Its directory gets another name, by which it might be reached."""
    folder = os.path.dirname(path)
    os.rename(folder, folder + ".moved")
    try:
        read(f"{folder}.moved/{os.path.basename(path)}")
    finally:
        os.rename(folder + ".moved", folder)


def list_directory(path):
    if not os.listdir(path):
        raise Refused("empty")


def list_others(own):
    if set(os.listdir(os.path.dirname(own))) <= {os.path.basename(own)}:
        raise Refused("none")


# ---- processes ----


def trace(pid):
    call("ptrace", 16, pid, 0, 0)
    os.waitpid(pid, 0)
    call("ptrace", 17, pid, 0, 0)


def read_memory(pid):
    with open(f"/proc/{pid}/maps", encoding="ascii") as maps:
        start = int(maps.readline().split("-")[0], 16)
    data = ctypes.create_string_buffer(8)
    local = struct.pack("PN", ctypes.addressof(data), 8)
    remote = struct.pack("PN", start, 8)
    call("process_vm_readv", pid, local, 1, remote, 1, 0)


def zygote():
    """The pid of the Python that apps are forked from."""
    for name in os.listdir("/proc"):
        try:
            with open(f"/proc/{name}/comm", encoding="ascii") as file:
                if name.isdigit() and file.read() == "flwr-zygote\n":
                    return int(name)
        except (OSError, UnicodeDecodeError):
            pass
    raise Refused("none")


def take_inherited():
    """A descriptor of something else than output, a socket, a pipe, or a file of its own."""
    for name in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{name}")
        except OSError:  # that of the listing
            continue
        if not target.startswith(("socket:", "pipe:", "/dev/", "/proc/", "/memfd:", "anon_inode:")):
            return
    raise Refused("none")


def steal_descriptor(pid):
    fd = call("pidfd_open", pid, 0)
    call("pidfd_getfd", fd, 2, 0)


def signal_by_pidfd(pid):
    call("pidfd_send_signal", call("pidfd_open", pid, 0), 0, 0, 0)


def enter_mounts(pid):
    fd = os.open(f"/proc/{pid}/ns/mnt", os.O_RDONLY)
    call("setns", fd, NEW_MOUNTS)


# ---- the kernel ----


def new_user(then=lambda: None, more=0):
    def inside():
        call("unshare", NEW_USER | more)
        then()

    forked(inside)


def uncover(path):
    call("umount2", os.fsencode(path), 2)
    read(path)


def mount():
    call("mount", b"none", b"/mnt", b"tmpfs", 0, b"")


def run_from_memory():
    fd = os.memfd_create("program")
    with open("/bin/true", "rb") as program:
        os.write(fd, program.read())
    subprocess.run([f"/proc/self/fd/{fd}"], pass_fds=[fd], check=True)


def gain_by_program():
    """A program with the set-user-id bit runs as its owner."""
    for program in ("/bin/su", "/usr/bin/passwd", "/bin/mount"):
        if os.path.exists(program) and os.stat(program).st_mode & 0o4000:
            with open(program, "rb"):
                pass
            with open("/proc/self/status", encoding="ascii") as status:
                if "NoNewPrivs:\t1" in status.read():
                    raise Refused("EPERM")
    with open("/proc/self/status", encoding="ascii") as status:
        if "NoNewPrivs:\t1" in status.read():
            raise Refused("EPERM")


def dump_core():
    soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    if hard == 0:
        raise Refused("EPERM")
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))


def open_by_handle(path):
    handle = ctypes.create_string_buffer(struct.pack("Ii", 128, 0) + bytes(128))
    mount_id = ctypes.c_int()
    pointers = ctypes.addressof(handle), ctypes.addressof(mount_id)
    call("name_to_handle_at", -100, os.fsencode(path), *pointers, 0)
    fd = os.open(path, os.O_RDONLY)
    os.close(call("open_by_handle_at", fd, pointers[0], os.O_RDONLY))


def io_uring():
    os.close(call("io_uring_setup", 1, bytes(120)))


# ---- the network ----


def connect(address, family=socket.AF_INET):
    with socket.socket(family, socket.SOCK_STREAM) as client:
        client.settimeout(5)
        client.connect(address)


def connect_fast(address):
    with socket.socket() as client:
        client.sendto(b"x", 0x20000000, address)


def connect_mptcp(address):
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262) as client:
        client.settimeout(5)
        client.connect(address)


def send_datagram(address):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.sendto(b"x", address)


def listen():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()


def raw_socket():
    socket.socket(socket.AF_INET, socket.SOCK_RAW, 1).close()


def packet_socket():
    socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0).close()


def netlink_socket():
    socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0).close()


def attempts(order):
    key, state, sibling = order["key"], order["state"], order["sibling"]
    node, other = order["supernode"], order["process"]
    own = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    folder = tempfile.mkdtemp()
    open_port, closed_port = ("127.0.0.1", order["port"]), ("127.0.0.1", order["port-2"])
    return {
        "key: read": lambda: read(key),
        "key: write": lambda: write(key),
        "key: remove": lambda: (os.unlink(key), write(key)),
        "key: by a link": lambda: read_by_link(key, folder),
        "key: by a hard link": lambda: hard_link(key, folder),
        "key: by renames": lambda: rename_race(key, folder),
        "key: move away": lambda: move_away(key),
        "key: by the root of the parent": lambda: read(f"/proc/{os.getppid()}/root{key}"),
        "key: by the directory of the node": lambda: read(f"/proc/{node}/root{key}"),
        "state: list": lambda: list_directory(state),
        "state: write": lambda: write(f"{state}/x"),
        "state: by the working directory": lambda: list_directory(os.path.basename(state)),
        "state: by the working directory of the parent": lambda: list_directory(
            f"/proc/{os.getppid()}/cwd"
        ),
        "inherited descriptor": take_inherited,
        "zygote: trace": lambda: trace(zygote()),
        "zygote: memory": lambda: read_memory(zygote()),
        "zygote: environment": lambda: read(f"/proc/{zygote()}/environ"),
        "zygote: take a descriptor": lambda: steal_descriptor(zygote()),
        "zygote: signal": lambda: os.kill(zygote(), 0),
        "limits: change": lambda: write("/sys/fs/cgroup/cgroup.procs"),
        "socket of the worker API": lambda: connect(order["socket"], socket.AF_UNIX),
        "another app: name": lambda: list_others(own),
        "another app: read": lambda: read(f"{sibling}/secret"),
        "another app: by the root of the zygote": lambda: read(
            f"/proc/{zygote()}/root{sibling}/secret"
        ),
        "another app: by the root of the parent": lambda: read(
            f"/proc/{os.getppid()}/root{sibling}/secret"
        ),
        "another app: write": lambda: write(f"{sibling}/secret"),
        "another app: add": lambda: write(f"{sibling}.new"),
        "own app: read": lambda: read(__file__),
        "own app: write": lambda: write(__file__),
        "own app: add": lambda: write(f"{own}/added"),
        "node: command line": lambda: read(f"/proc/{node}/cmdline"),
        "node: environment": lambda: read(f"/proc/{node}/environ"),
        "node: descriptors": lambda: os.readlink(f"/proc/{node}/fd/2"),
        "node: memory": lambda: read_memory(node),
        "node: trace": lambda: trace(node),
        "node: take a descriptor": lambda: steal_descriptor(node),
        "node: enter its mounts": lambda: enter_mounts(node),
        "node: signal": lambda: os.kill(node, 0),
        "parent: trace": lambda: trace(os.getppid()),
        "parent: signal": lambda: os.kill(os.getppid(), 0),
        "another process: environment": lambda: read(f"/proc/{other}/environ"),
        "another process: memory": lambda: read_memory(other),
        "another process: trace": lambda: trace(other),
        "another process: take a descriptor": lambda: steal_descriptor(other),
        "another process: signal": lambda: os.kill(other, 0),
        "another process: signal by pidfd": lambda: signal_by_pidfd(other),
        "abstract socket": lambda: connect("\0" + order["abstract"], socket.AF_UNIX),
        "mount": mount,
        "unmount what hides": lambda: uncover(key),
        "user namespace": new_user,
        "user namespace: mount": lambda: new_user(mount, NEW_MOUNTS),
        "user namespace: unmount what hides": lambda: new_user(lambda: uncover(key), NEW_MOUNTS),
        "set-user-id program": gain_by_program,
        "core file": lambda: forked(dump_core),
        "program in memory": run_from_memory,
        "io_uring": io_uring,
        "keys of the session": lambda: call("keyctl", 0, -3, 1),
        "bpf": lambda: call("bpf", 0, bytes(128), 128),
        "perf": lambda: call("perf_event_open", bytes(128), 0, -1, -1, 0),
        "file handle": lambda: open_by_handle("/usr"),
        "raw socket": raw_socket,
        "packet socket": packet_socket,
        "netlink socket": netlink_socket,
        "connect": lambda: connect(open_port),
        "connect: another port": lambda: connect(closed_port),
        "connect: fast open": lambda: connect_fast(closed_port),
        "connect: MPTCP": lambda: connect_mptcp(closed_port),
        "datagram": lambda: send_datagram(open_port),
        "listen": listen,
        "data: read": lambda: read(order["data"] + "/read/file"),
        "data: write where it is read": lambda: write(order["data"] + "/read/file"),
        "data: write": lambda: write(order["data"] + "/write/file"),
        "data: other": lambda: read(order["data"] + "/other/file"),
        "home: make": lambda: write(os.path.expanduser(f"~/{os.getpid()}")),
        "beside hidden things: make": lambda: write(f"{os.path.dirname(key)}/{os.getpid()}"),
        "temporary file": lambda: tempfile.TemporaryFile().close(),
        "/tmp": lambda: tempfile.TemporaryFile(dir="/tmp").close(),
        "user database": lambda: read("/etc/passwd"),
        "system secrets": lambda: list_directory("/root"),
    }


# ---- what must go on working ----


def square(number):
    return number * number


def frameworks():
    """What DataLoaders, joblib and the like are made of."""
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
    from multiprocessing import shared_memory

    def pool(method):
        with multiprocessing.get_context(method).Pool(2) as workers:
            assert workers.map(square, range(4)) == [0, 1, 4, 9]

    def queue():
        context = multiprocessing.get_context("fork")
        pipe = context.Queue()
        child = context.Process(target=pipe.put, args=(7,))
        child.start()
        assert pipe.get(timeout=30) == 7
        child.join()

    def manager():
        with multiprocessing.Manager() as server:
            assert server.list([1])[0] == 1

    def futures(kind):
        with kind(2) as workers:
            assert list(workers.map(square, range(4))) == [0, 1, 4, 9]

    def shared():
        memory = shared_memory.SharedMemory(create=True, size=64)
        memory.close()
        memory.unlink()

    def numbers():
        import numpy

        assert numpy.ones((300, 300)).dot(numpy.ones((300, 300)))[0][0] == 300

    def joblib():
        try:
            from joblib import Parallel, delayed
        except ImportError:
            return
        assert Parallel(n_jobs=2)(delayed(square)(number) for number in range(4)) == [0, 1, 4, 9]

    return {
        "joblib": joblib,
        "fork": lambda: pool("fork"),
        "spawn": lambda: pool("spawn"),
        "forkserver": lambda: pool("forkserver"),
        "queue": queue,
        "manager": manager,
        "processes": lambda: futures(ProcessPoolExecutor),
        "threads": lambda: futures(ThreadPoolExecutor),
        "shared memory": shared,
        "numpy": numbers,
        "program": lambda: subprocess.run(["sh", "-c", "true"], check=True),
        "kill a child": kill_child,
    }


def kill_child():
    child = subprocess.Popen(["sleep", "1000"])
    child.kill()
    child.wait()


def escape(order, message, context):
    from judge.client_app import flwr_preload
    from judge.flower import ConfigRecord, records

    # One that hangs is seen in the log of the node.
    faulthandler.dump_traceback_later(40, exit=True)
    work = {name: str(outcome(what)) for name, what in frameworks().items()}
    seen = {name: outcome(what) for name, what in attempts(order).items()}
    seen |= {f"works: {name}": said for name, said in work.items()}
    faulthandler.cancel_dump_traceback_later()
    about = {
        "variables": dict(os.environ),
        "home": os.path.expanduser("~"),
        "temporary": tempfile.gettempdir(),
        "directory": os.getcwd(),
        "path": sys.path,
        "forked": "flwr_native_bridge.zygote" in sys.modules,
        "ahead": flwr_preload() != os.getpid(),
    }
    return records(configs={"known": ConfigRecord({"json": json.dumps([seen, about])})})


def need_data(order, message, context):
    with open(order["data"] + "/other/file", encoding="utf-8"):
        pass
