"""There is nothing left of what a node or an app needs: disk, descriptors, processes, memory."""

import contextlib
import os
import resource
import shutil
import signal

from federation.processes import tree_of, wait_until

from .faults import TTL_S, fault, for_a_moment

LARGE = 36 << 20  # bytes of a message that the node keeps in a file, where it comes in objects
REFUSED = (0, 1, 3, 7, 8)  # a message that was served, or that its node had nothing for


def send_some(lab, **order):
    return [lab.judge.send(lab.node_id, "echo", **order) for _ in range(3)]


@fault(own=True)
def disk_full(lab, works):
    """Messages are answered, be it with an error."""
    lab.wait_at_work(works)
    lab.disk.fill()
    lab.finish(works)
    if lab.random.random() < 0.5:  # then the app must be installed again
        lab.at_rest()
        shutil.rmtree(lab.place.home / "apps")
    for message in send_some(lab, bytes=lab.random.choice([100, LARGE])):
        lab.answers(message, *REFUSED)
    lab.disk.free()


@fault(ttl=TTL_S, own=True)
def disk_full_at_start(lab, works):
    """The program is killed, and comes back with the disk at the latest."""
    lab.disk.fill()
    start = lab.node.size()
    os.kill(lab.node.pid, signal.SIGKILL)
    lab.lost_with_node(works)
    for_a_moment(lab, 3.0)
    lab.disk.free()
    lab.wait_registered(start)


def limit_descriptors(pid, soft):
    _, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (min(soft, hard), hard))


def lift_limit(lab, soft):
    """Also of what was started meanwhile, and would keep it. What runs as another user does, and is
    killed."""
    for pid in tree_of(lab.reaper):
        with contextlib.suppress(ProcessLookupError):
            try:
                limit_descriptors(pid, soft)
            except PermissionError:
                os.kill(pid, signal.SIGKILL)


@fault()
def descriptors_short(lab, works):
    """The program can open a few or none; what it has at work goes on."""
    lab.wait_at_work(works)
    soft, _ = resource.prlimit(lab.node.pid, resource.RLIMIT_NOFILE)
    used = max(int(fd) for fd in os.listdir(f"/proc/{lab.node.pid}/fd"))
    limit_descriptors(lab.node.pid, used + 1 + lab.random.randint(0, 20))
    lab.finish(works)
    messages = send_some(lab)
    for_a_moment(lab, 2.0)
    lift_limit(lab, soft)
    for message in messages:
        lab.answers(message, *REFUSED)


@fault()
def fork_bomb(lab, works):
    """An app forks without end, and so do its children."""
    lab.wait_at_work(works)  # meanwhile other apps of their user could start no process
    first, others = lab.choose(works)
    lab.finish([first])
    file = lab.place.words / f"bomb-{lab.number}"
    stays = lab.random.random() < 0.5
    message = lab.judge.send(lab.node_id, "bomb", file=str(file), stays=stays)
    if stays:
        wait_until(file.exists, "the app's processes are refused", 60)
        os.kill(int(file.read_text(encoding="utf-8")), signal.SIGKILL)
    lab.answers(message, 8 if stays else 2)
    lab.finish(others)


@fault()
def memory_hog(lab, works):
    """An app takes memory without end."""
    first, others = lab.choose(works)
    lab.finish([first])
    lab.answers(lab.judge.send(lab.node_id, "hog"), 2, 8)
    lab.finish(others)
