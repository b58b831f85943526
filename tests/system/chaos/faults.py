"""What is done to a node while it works on as many messages as it can. Each fault is a function of
the lab and these messages (works); it sees to it that each is answered as it must be, and the node
is back. Here are those of processes and connections that end or stop."""

import os
import signal
import time

from federation.processes import accepts, tree_of

from .lab import TTL_S

FAULTS = {}  # name: (function, ttl of its messages, must the place be the test's own)


def fault(ttl=3600.0, own=False):
    def take(function):
        FAULTS[function.__name__] = (function, ttl, own)
        return function

    return take


def for_a_moment(lab, longest=1.0):
    """The damage lasts for so long, or comes after so long."""
    time.sleep(lab.random.uniform(0, longest))


# ---- killed ----


@fault()
def app_killed(lab, works):
    victim, others = lab.choose(works)
    os.kill(victim.pids[0], signal.SIGKILL)
    lab.answers(victim.id, 8)
    lab.finish(others)


@fault()
def worker_killed(lab, works):
    victim, others = lab.choose(works)
    assert victim.pids
    os.kill(lab.worker(victim), signal.SIGKILL)
    lab.answers(victim.id, 8)
    lab.finish(others)


@fault()
def zygote_killed(lab, works):
    """It is no part of the messages at work."""
    lab.wait_at_work(works)
    os.kill(lab.zygote, signal.SIGKILL)
    lab.finish(works)


@fault(ttl=TTL_S)
def program_killed(lab, works):
    """At any moment of the messages; the reaper starts it again, as a new node of the SuperLink's.
    A message is handed out once: the SuperLink answers it, with an error, when its time is over."""
    for_a_moment(lab)
    start = lab.node.size()
    os.kill(lab.node.pid, lab.random.choice([signal.SIGKILL, signal.SIGSEGV]))
    lab.lost_with_node(works)
    lab.wait_registered(start)


@fault(ttl=TTL_S)
def reaper_killed(lab, works):
    """The program answers, as far as the SuperLink takes that within 0.3 s, and ends with all;
    somebody starts it again."""
    lab.wait_at_work(works)
    start = lab.node.size()
    os.kill(lab.reaper, signal.SIGKILL)
    lab.federation.wait_gone([lab.node.pid], 5)
    if lab.node.find("some replies could not be sent", start):
        lab.lost_with_node(works)
    else:
        lab.all_answer(works, 8)
    lab.start_node()


@fault(ttl=TTL_S)
def both_killed(lab, works):
    for_a_moment(lab)
    below = tree_of(lab.reaper)[1:]
    os.kill(lab.reaper, signal.SIGSTOP)
    os.kill(lab.node.pid, signal.SIGKILL)
    os.kill(lab.reaper, signal.SIGKILL)
    lab.lost_with_node(works)
    # The next node leaves alone what one of them has in use.
    lab.federation.wait_gone(below, 5)
    lab.start_node()


# ---- stopped, and going on ----


def paused(lab, works, pid):
    os.kill(pid, signal.SIGSTOP)
    for_a_moment(lab)
    os.kill(pid, signal.SIGCONT)
    lab.finish(works)


@fault()
def app_paused(lab, works):
    paused(lab, works, lab.choose(works)[0].pids[0])


@fault()
def worker_paused(lab, works):
    victim, _ = lab.choose(works)
    assert victim.pids
    paused(lab, works, lab.worker(victim))


@fault()
def zygote_paused(lab, works):
    lab.wait_at_work(works)
    paused(lab, works, lab.zygote)


@fault()
def program_paused(lab, works):
    paused(lab, works, lab.node.pid)


@fault()
def reaper_paused(lab, works):
    paused(lab, works, lab.reaper)


# ---- the SuperLink ----


@fault()
def superlink_killed(lab, works):
    """It comes back and knows nothing: the node registers again. The messages' run is over: their
    replies are nobody's, and the node is done with them all the same."""
    lab.wait_at_work(works)
    lab.forget_run()
    lab.federation.superlink.kill()
    for_a_moment(lab)
    start = lab.node.size()
    for work in works:
        work.release()  # before the node knows the new one, and ends the app
    lab.start_superlink()
    lab.node.wait_log(r"reply (sent|dropped|lost)|message dropped|run is over", 90, start)
    lab.wait_registered(start)


@fault()
def superlink_paused(lab, works):
    """Connections to it are made all the same, and nothing is answered: then all at once."""
    lab.wait_received(works)
    first, others = lab.choose(works)
    assert first.pids
    superlink = lab.federation.superlink.pid
    os.kill(superlink, signal.SIGSTOP)
    try:
        assert accepts(lab.federation.fleet)
        first.release()  # its reply is on its way meanwhile
        for_a_moment(lab, lab.random.choice([1, 3, 30]))
    finally:
        os.kill(superlink, signal.SIGCONT)
    lab.answers(first.id, 0)
    lab.finish(others)


@fault()
def connection_cut(lab, works):
    """A message whose pull was cut would be lost: it is handed out once."""
    lab.wait_received(works)
    for_a_moment(lab)
    lab.relay.cut()
    lab.finish(works)


@fault()
def connection_refused(lab, works):
    """For a while nobody answers there."""
    lab.wait_at_work(works)
    lab.relay.refusing = True
    lab.relay.cut()
    for work in works:
        work.release()
    for_a_moment(lab, 2.0)
    lab.relay.mend()
    lab.all_answer(works, 0)
