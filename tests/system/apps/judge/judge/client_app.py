"""Does what the message says: answers, raises, exits, crashes, stays away."""

import atexit
import ctypes
import importlib.metadata
import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time

from judge import traces
from judge.flower import (
    Array,
    ArrayRecord,
    ClientApp,
    ConfigRecord,
    MetricRecord,
    configs_of,
    metrics_of,
    records,
    reply_to,
)

app = ClientApp()


def write(file, text):
    """The test sees all of it or nothing."""
    with open(file + ".new", "w", encoding="utf-8") as new:
        new.write(text)
    os.rename(file + ".new", file)


def echo(order, message, context):
    return message.content


def tell_context(order, message, context):
    """Everything that an app can see of its node and run, with the types of the values."""

    def described(config):
        return {key: [type(value).__name__, value] for key, value in config.items()}

    known = {
        "node_config": described(context.node_config),
        "run_config": described(context.run_config),
        "run_id": context.run_id,
        "node_id": str(context.node_id),
        "series_id": str(getattr(context, "series_id", 0)),
        "flwr": importlib.metadata.version("flwr"),
        "home": os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
    }
    return records(configs={"known": ConfigRecord({"json": json.dumps(known)})})


def look(order, message, context):
    """What an app can reach of its node, whose number is given."""

    def tried(what, *arguments):
        try:
            return what(*arguments) and "done"
        except OSError as error:
            return error.strerror

    def read(path):
        with open(path, "rb") as file:
            return file.read(1)

    with open("/proc/self/status", encoding="utf-8") as status:
        fields = dict(line.rstrip("\n").split(":\t", 1) for line in status)
    node = f"/proc/{order['process']}"
    seen = {
        "memory": tried(read, f"{node}/mem"),
        "environ": tried(read, f"{node}/environ"),
        "descriptors": tried(os.listdir, f"{node}/fd"),
        "variables": sorted(os.environ),
        "no-new-privileges": fields["NoNewPrivs"],
        "user": fields["Uid"].split()[0],
        "groups": fields["Groups"].split(),
        "home": os.environ.get("HOME"),
        "core": resource.getrlimit(resource.RLIMIT_CORE)[0],
    }
    return records(configs={"known": ConfigRecord({"json": json.dumps(seen)})})


def count(order, message, context):
    """How many messages with this order this node has had, by the state that it keeps."""
    counter = metrics_of(context.state).setdefault("counter", MetricRecord({"n": 0}))
    counter["n"] = int(counter["n"]) + 1
    return records(metrics={"counter": MetricRecord({"n": counter["n"]})})


def fail(order, message, context):
    raise ZeroDivisionError("division by zero")


def leave(order, message, context):
    print("last words", file=sys.stderr, flush=True)
    if order["at-once"]:
        os._exit(order["status"])
    sys.exit(order["status"])


def be_killed(order, message, context):
    if order["signal"] == signal.SIGSEGV:
        ctypes.string_at(0)
    os.kill(os.getpid(), order["signal"])


def sit(order, message, context):
    """One long native call: Python cannot look at signals or sockets meanwhile."""
    child = subprocess.Popen(["sleep", "1000"])
    away = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    write(order["file"], f"{os.getpid()} {child.pid} {away.pid}")
    libc = ctypes.PyDLL(None)  # keeps the interpreter's lock
    libc.sleep(order["seconds"])
    return records()


def hold(order, message, context):
    """Has children, one in a session of its own, and stays until the pipe's other end says a word."""
    child = subprocess.Popen(["sleep", "1000"])
    away = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    write(order["file"], f"{os.getpid()} {child.pid} {away.pid}")
    return wait_for(order, message, context)


def wait_for(order, message, context):
    """Stays until the other end of a named pipe says a word."""
    with open(order["pipe"], encoding="utf-8") as pipe:
        pipe.read()
    return records()


def count_and_fail(order, message, context):
    count(order, message, context)
    fail(order, message, context)


def hide(order, message, context):
    """Closes everything, and lives on."""
    write(order["file"], str(os.getpid()))
    os.closerange(0, 4096)
    while True:
        signal.pause()


def leave_daemon(order, message, context):
    """Ends, and leaves a process in a session of its own that holds stdout and stderr."""
    daemon = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    write(order["file"], str(daemon.pid))
    os._exit(5)


def orphan(order, message, context):
    """How many children the app has when a child of its has left it an orphan, and who that is."""
    left = subprocess.run(
        ["sh", "-c", "setsid sleep 1000 >/dev/null 2>&1 & echo $!"], capture_output=True, check=True
    )
    try:
        os.waitpid(-1, os.WNOHANG)
        children = 1
    except ChildProcessError:
        children = 0
    found = MetricRecord({"pid": int(left.stdout), "children": children})
    return records(metrics={"orphan": found})


def end_late(order, message, context):
    """Replies, and has a thread that waits for the test's word and a file that is not closed."""
    rows = globals()["rows"] = open(order["file"], "w", encoding="utf-8")
    rows.write("row ")

    def work():
        with open(order["pipe"], encoding="utf-8") as pipe:
            pipe.read()
        rows.write("thread ")

    threading.Thread(target=work).start()
    atexit.register(rows.write, "exit")
    return records(metrics={"app": MetricRecord({"pid": os.getpid()})})


def limit_files(order, message, context):
    """Lets its process write no more to any file."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    return large(order, message, context)


def raise_long(order, message, context):
    raise ValueError("x" * order["number"] + "!")


def change_config(order, message, context):
    """Counts in node_config; changes run_config, if told so."""
    context.node_config["seen"] = context.node_config.get("seen", 0) + 1
    if order["run"]:
        context.run_config["judge"] = "changed"
    return tell_context(order, message, context)


def large(order, message, context):
    """A reply of so many bytes."""
    array = Array("uint8", (order["number"],), "none", bytes(order["number"]))
    return records(arrays={"large": ArrayRecord({"large": array})})


def the_place_that_fails():
    raise ValueError("wrong shape")


def shout(order, message, context):
    """Prints lines, with others that go on doing so on both pipes, and fails."""

    def go_on(stream):
        while True:
            print("aside", "." * 50, file=stream)

    print("the first line")
    for n in range(order["aside"]):
        stream = (sys.stdout, sys.stderr)[n % 2]
        threading.Thread(target=go_on, args=(stream,), daemon=True).start()
    if "wide" in order:
        print(json.dumps({"wide": "x" * order["wide"]}))
    for n in range(order["lines"]):
        print(f"layer.{n}.weight")
    the_place_that_fails()


def need(order, message, context):
    """Uses so many bytes of memory."""
    return records(metrics={"need": MetricRecord({"bytes": len(b"x" * order["number"])})})


def multiply(order, message, context):
    """How many children it can have at a time, of so many that it wants."""
    children = []
    try:
        while len(children) < order["number"]:
            child = os.fork()
            if child == 0:
                signal.pause()
                os._exit(0)
            children.append(child)
    except OSError:
        pass
    for child in children:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    return records(metrics={"children": MetricRecord({"n": len(children)})})


def multiply_for_ever(order, message, context):
    """Forks until that is refused, then fails, or stays as well; its children never give up."""
    own = os.getpid()
    while True:
        try:
            if os.fork() == 0 and os.getpid() % 2:
                os.setsid()
        except OSError:
            if os.getpid() == own and not order["stays"]:
                raise
            if os.getpid() == own and not os.path.exists(order["file"]):
                write(order["file"], str(own))
            time.sleep(0.001)


def need_ever_more(order, message, context):
    pieces = []
    while True:
        pieces.append(b"x" * (16 << 20))


def tell_gpu(order, message, context):
    """Which GPUs it may use; it goes on until the other end of a named pipe says a word."""
    if "pipe" in order:
        wait_for(order, message, context)
    known = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    return records(configs={"known": ConfigRecord({"json": json.dumps(known)})})


ORDERS = {
    "echo": echo,
    "context": tell_context,
    "look": look,
    "count": count,
    "raise": fail,
    "exit": leave,
    "signal": be_killed,
    "sit": sit,
    "wait": wait_for,
    "hold": hold,
    "count-and-raise": count_and_fail,
    "hide": hide,
    "daemon": leave_daemon,
    "orphan": orphan,
    "late": end_late,
    "limit": limit_files,
    "raise-long": raise_long,
    "config": change_config,
    "large": large,
    "shout": shout,
    **traces.ORDERS,
    "need": need,
    "hog": need_ever_more,
    "multiply": multiply,
    "bomb": multiply_for_ever,
    "gpu": tell_gpu,
}


@app.query()
@app.evaluate()
@app.train()
def obey(message, context):
    order = configs_of(message.content)["do"]
    return reply_to(message, ORDERS[order["what"]](order, message, context))
