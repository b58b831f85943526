"""job_shell.py PROGRAM: a shell with one job, in the foreground of the terminal that its stdin is.
Says when the job and the program below it have stopped, and lets it go on; says how it ended."""

import fcntl
import os
import signal
import sys
import termios


def state_of(pid):
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stat:
        return stat.read().rpartition(")")[2].split()[0]


def below(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        return int(file.read().split()[0])


os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
signal.signal(signal.SIGTTOU, signal.SIG_IGN)
job = os.fork()
if job == 0:
    os.setpgid(0, 0)
    os.tcsetpgrp(0, os.getpid())
    signal.signal(signal.SIGTTOU, signal.SIG_DFL)
    os.execv(sys.argv[1], sys.argv[1:])
while True:
    _, status = os.waitpid(job, os.WUNTRACED)
    if not os.WIFSTOPPED(status):
        break
    while state_of(below(job)) != "T":
        pass
    print("both stopped", flush=True)
    os.killpg(job, signal.SIGCONT)
print("ended with", os.waitstatus_to_exitcode(status), flush=True)
