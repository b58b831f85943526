"""What is done to a node while a message is at work. Each fault is a function of the lab and the
message (work); it sees to it that the message is answered as it must be, and the node is back."""

import os
import signal
import time

from federation.processes import tree_of

from .lab import TTL_S

FAULTS = {}  # name: (function, ttl of its message)


def fault(ttl=3600.0):
    def take(function):
        FAULTS[function.__name__] = (function, ttl)
        return function

    return take


def for_a_moment(lab, longest=1.0):
    """The damage lasts for so long, or comes after so long."""
    time.sleep(lab.random.uniform(0, longest))


# ---- killed ----


@fault()
def app_killed(lab, work):
    os.kill(lab.random.choice(work.pids[:1]), signal.SIGKILL)
    lab.answers(work, 8)


@fault()
def worker_killed(lab, work):
    assert work.pids
    os.kill(lab.worker, signal.SIGKILL)
    lab.answers(work, 8)


@fault()
def zygote_killed(lab, work):
    """It is no part of the message at work."""
    assert work.pids
    os.kill(lab.zygote, signal.SIGKILL)
    work.release()
    lab.answers(work, 0)


@fault(ttl=TTL_S)
def program_killed(lab, work):
    """At any moment of the message; the reaper starts it again, as a new node of the SuperLink's. A
    message is handed out once: the SuperLink answers it, with an error, when its time is over."""
    for_a_moment(lab)
    start = lab.node.size()
    os.kill(lab.node.pid, lab.random.choice([signal.SIGKILL, signal.SIGSEGV]))
    lab.lost_with_node(work)
    lab.wait_registered(start)


@fault()
def reaper_killed(lab, work):
    """The program answers, and ends with all; somebody starts it again."""
    assert work.pids
    os.kill(lab.reaper, signal.SIGKILL)
    lab.answers(work, 8)
    lab.federation.wait_gone([lab.node.pid], 5)
    lab.start_node()


@fault(ttl=TTL_S)
def both_killed(lab, work):
    for_a_moment(lab)
    below = tree_of(lab.reaper)[1:]
    os.kill(lab.reaper, signal.SIGSTOP)
    os.kill(lab.node.pid, signal.SIGKILL)
    os.kill(lab.reaper, signal.SIGKILL)
    lab.lost_with_node(work)
    # The next node leaves alone what one of them has in use.
    lab.federation.wait_gone(below, 5)
    lab.start_node()


# ---- stopped, and going on ----


def paused(lab, work, pid):
    os.kill(pid, signal.SIGSTOP)
    for_a_moment(lab)
    os.kill(pid, signal.SIGCONT)
    work.release()
    lab.answers(work, 0)


@fault()
def app_paused(lab, work):
    paused(lab, work, work.pids[0])


@fault()
def worker_paused(lab, work):
    assert work.pids
    paused(lab, work, lab.worker)


@fault()
def zygote_paused(lab, work):
    assert work.pids
    paused(lab, work, lab.zygote)


@fault()
def program_paused(lab, work):
    paused(lab, work, lab.node.pid)


@fault()
def reaper_paused(lab, work):
    paused(lab, work, lab.reaper)


# ---- the SuperLink ----


@fault()
def superlink_killed(lab, work):
    """It comes back and knows nothing: the node registers again. The message's run is over: its
    reply is nobody's, and the node is done with it all the same."""
    assert work.pids
    lab.forget_run()
    lab.federation.superlink.kill()
    for_a_moment(lab)
    start = lab.node.size()
    work.release()  # before the node knows the new one, and ends the app
    lab.start_superlink()
    lab.node.wait_log(r"reply (sent|dropped|lost)|message dropped|run is over", 90, start)
    lab.wait_registered(start)


@fault()
def connection_cut(lab, work):
    """A message whose pull was cut would be lost: it is handed out once."""
    lab.wait_received(work)
    for_a_moment(lab)
    lab.relay.cut()
    work.release()
    lab.answers(work, 0)


@fault()
def connection_refused(lab, work):
    """For a while nobody answers there."""
    assert work.pids
    lab.relay.refusing = True
    lab.relay.cut()
    work.release()
    for_a_moment(lab, 2.0)
    lab.relay.mend()
    lab.answers(work, 0)
