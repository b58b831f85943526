"""tree.py NUMBER FIFO [ANYTHING ...]: starts so many processes in all, which do not want to end:
they ignore SIGTERM, have sessions of their own, fork on. Each holds FIFO open for writing, and has
written a byte to it when it is there: its reader sees the end of the last one."""

import os
import signal
import sys


def here(fifo):
    os.write(fifo, b"x")


def settle(fifo, first=True):
    """A session of its own, in which nothing but SIGKILL ends this process."""
    if os.getpid() != os.getsid(0):
        os.setsid()
    if first:
        here(fifo)
    while True:
        signal.pause()


def child(what, *arguments):
    """Its pid."""
    pid = os.fork()
    if pid:
        return pid
    what(*arguments)
    os._exit(0)


def daemon(fifo):
    """Its parent is gone."""
    os.setsid()
    child(settle, fifo)


def chain(fifo, length):
    if length > 1:
        child(chain, fifo, length - 1)
    settle(fifo)


def pair(fifo):
    """One that starts the other anew whenever that has ended."""
    os.setsid()
    here(fifo)
    first = True
    while True:
        os.waitpid(child(settle, fifo, first), 0)
        first = False


def runaway(fifo):
    """Ends when it has forked, as its child does."""
    os.setsid()
    here(fifo)
    while True:
        if os.fork():
            os._exit(0)
        os.setsid()


def main():
    number = int(sys.argv[1])
    fifo = os.open(sys.argv[2], os.O_WRONLY)
    for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(each, signal.SIG_IGN)
    quarter = (number - 3) // 4
    for _ in range(quarter):
        child(daemon, fifo)
    child(chain, fifo, quarter)
    for _ in range(quarter // 2):
        child(pair, fifo)
    for _ in range(number - 3 - 2 * quarter - quarter // 2 * 2):
        child(settle, fifo)
    for _ in range(2):
        child(runaway, fifo)
    here(fifo)
    while True:
        try:
            os.wait()
        except ChildProcessError:
            signal.pause()


main()
