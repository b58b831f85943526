"""What one message could leave for another one in an interpreter, and where it would be found."""

import atexit
import gc
import hashlib
import json
import multiprocessing
import os
import random
import resource
import signal
import sys
import threading
import warnings

import numpy

from judge.flower import ConfigRecord, MetricRecord, records

left = []  # of this module


def soil(order, message, context):
    """Leave something everywhere."""
    left.append("something")
    json.left = "something"
    numpy.left = "something"
    sys.modules["left"] = sys.modules["json"]
    sys.path.append("/left")
    sys.argv.append("left")
    os.environ["LEFT"] = "something"
    os.environ.pop("HOME", None)
    os.chdir("/")
    os.umask(0o777)
    random.seed(1)
    numpy.random.seed(1)
    signal.signal(signal.SIGUSR1, lambda number, frame: None)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])
    warnings.simplefilter("error")
    resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))
    threading.Thread(target=threading.Event().wait, daemon=True).start()
    file = open(order["file"], "w", encoding="utf-8")  # left open
    atexit.register(file.write, "exit ")
    json.file = file
    with open(order["file"] + ".forked", "w", encoding="utf-8") as told:
        told.write(str(is_forked()))
    return records()


def is_forked():
    return "flwr_native_bridge.zygote" in sys.modules


def seen():
    """What must be the same for each message."""
    main = sys.modules["__main__"]
    return {
        "global": left,
        "attributes": [hasattr(json, "left"), hasattr(numpy, "left"), "left" in sys.modules],
        "path": sys.path,
        "argv": sys.argv,
        "orig_argv": sys.orig_argv,
        "main": [main.__name__, main.__file__, main.__spec__ is None],
        "variables": sorted(os.environ),
        "directory": os.getcwd(),
        "umask": [os.umask(0o22), os.umask(0o22)],
        "handlers": [str(signal.getsignal(n)) for n in range(1, 32)],
        "mask": [int(n) for n in signal.pthread_sigmask(signal.SIG_BLOCK, [])],
        "warnings": len(warnings.filters),
        "files": resource.getrlimit(resource.RLIMIT_NOFILE),
        "threads": [thread.name for thread in threading.enumerate()],
        "main thread": threading.current_thread() is threading.main_thread(),
        "streams": [
            [stream.fileno(), stream.encoding, stream.line_buffering, stream.isatty()]
            for stream in (sys.stdin, sys.stdout, sys.stderr)
        ],
        "gc": [gc.isenabled(), gc.get_threshold()],
        "process": [multiprocessing.current_process().name, multiprocessing.parent_process()],
    }


def own():
    """What must be another one for each message."""
    key = bytes(multiprocessing.current_process().authkey)
    return {
        "random": random.random(),
        "numpy": numpy.random.random(),
        "state": hashlib.sha256(numpy.random.get_state()[1].tobytes()).hexdigest(),
        "authkey": hashlib.sha256(key).hexdigest(),
        "pid": os.getpid(),
    }


def look(order, message, context):
    import curses
    import wave

    found = {"seen": seen(), "own": own(), "forked": is_forked()}
    found["own module"] = hasattr(wave, "OWN")
    found["curses"] = curses.__name__
    return records(configs={"known": ConfigRecord({"json": json.dumps(found)})})


def work_below(order, message, context):
    """Processes by multiprocessing, started in each way."""
    pids = {}
    for way in ("fork", "spawn", "forkserver"):
        with multiprocessing.get_context(way).Pool(1) as pool:
            pids[way] = pool.apply(os.getpid)
    pids["forked"] = int(is_forked())
    return records(metrics={"pids": MetricRecord(pids)})


ORDERS = {"soil": soil, "traces": look, "below": work_below}
