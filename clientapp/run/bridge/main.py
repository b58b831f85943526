"""The Python end of an app process: imports flwr, waits for its task, runs the ClientApp, replies.

Started by an agent as `python3 -u main.py` with the descriptor number of its socket in
FLWR_APP_FD. What passes over the socket is described in docs/app-form.md. With FLWR_APP_ZYGOTE it
is the zygote (zygote.py), and what is said here happens in its forks.
"""

import gc
import os
import sys

PACKAGE = "flwr_native_bridge"
LOAD_REASON = "An exception was raised when attempting to load `ClientApp`"
TEXT_MAX = 65536  # bytes of a datagram's text
CRASHED = 8  # Flower's code of an app that gave no reply
HELLO, TASK, REPLY, FAILURE = 1, 2, 3, 4


def own_modules(is_zygote):
    """flower, form and, where they are needed, dependencies, cage and zygote (else None), of a package
    with a name that no app has. They are loaded from where this file lies, not looked for: an operator's
    hook on imports need not know them, and sys.path is the app's."""
    import importlib.util

    here = os.path.dirname(os.path.abspath(__file__))
    if sys.path and os.path.realpath(sys.path[0]) == os.path.realpath(here):
        del sys.path[0]

    def load(name, file, **more):
        spec = importlib.util.spec_from_file_location(name, os.path.join(here, file), **more)
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
        return module

    load(PACKAGE, "__init__.py", submodule_search_locations=[here])
    if is_zygote:
        for name in ("aside", "leaving", "state", "preload"):
            load(f"{PACKAGE}.{name}", name + ".py")
    needed = {
        "dependencies": "FLWR_APP_DEPENDENCIES" in os.environ,
        "cage": "FLWR_APP_SANDBOX" in os.environ,
        "zygote": is_zygote,
    }
    return [
        load(f"{PACKAGE}.{name}", name + ".py") if needed.get(name, True) else None
        for name in ("flower", "form", "dependencies", "cage", "zygote")
    ]


def open_socket():
    import socket

    sock = socket.socket(fileno=int(os.environ.pop("FLWR_APP_FD")))
    sock.set_inheritable(False)
    sock.settimeout(None)  # an operator's hook may have set another default
    return sock


def send(sock, version, kind, number=0, code=0, text=""):
    import struct

    data = text.replace("\0", " ").encode("utf-8", "backslashreplace")[:TEXT_MAX]
    data = data.decode("utf-8", "ignore").encode()  # not cut inside a character
    sock.send(struct.pack("<IIQII", kind, version, number, code, len(data)) + data)


def receive_task(sock):
    """The descriptor of the task's file, which is also the reply's."""
    import socket

    try:
        data, fds, _, _ = socket.recv_fds(sock, 64, 1)
    except ConnectionError:
        data = b""
    if not data:
        sys.exit(0)  # the worker has gone, so there is nothing to do and nobody to tell
    if int.from_bytes(data[:4], "little") != TASK or len(fds) != 1:
        sys.exit("app process: what came from the worker is no task")
    os.set_inheritable(fds[0], False)  # recv_fds() passes no flags on
    return fds[0]


def text_of(ex):
    """What an exception says, even if it cannot."""
    try:
        return str(ex)
    except Exception as other:
        return f"(no text: {type(other).__name__} in its __str__)"


def is_own(raised):
    """Is it a failed installation of dependencies, which says all by itself?"""
    return type(raised).__module__ == PACKAGE + ".dependencies"


def explain(flower, raised):
    """(Flower's error code, reason, last line of the traceback)"""
    import traceback

    short = "".join(traceback.format_exception_only(type(raised), raised)).strip()
    if is_own(raised):
        return 2, text_of(raised), ""
    if isinstance(raised, flower.LoadClientAppError):
        return 1, f"{LOAD_REASON}: {text_of(raised.__cause__ or raised)}", short
    return 2, str(type(raised)) + ":<'" + text_of(raised) + "'>", short


def answer(flower, form, fd, prepare, load_app, failed):
    """Run the app; the reply in its form, whatever the app does but end the process. prepare and
    failed are called with the task, failed with what was raised, too."""
    import traceback

    task = None
    try:
        task = form.read_task(flower, fd)
        prepare(task)
        app = load_app(task.app_dir, task.fab_id, task.fab_version, task.fab_hash)
        reply = app(message=task.message, context=task.context)
        if not isinstance(reply, flower.Message):
            raise TypeError(f"ClientApp returned a {type(reply).__name__}, not a Message")
        return form.reply(flower, reply, task)
    except Exception as ex:
        raised = ex
    try:
        if not is_own(raised):
            traceback.print_exception(type(raised), raised, raised.__traceback__)
            failed(task, raised)
    except Exception:  # the app has closed or replaced stderr: the reply says it all the same
        pass
    code, reason, short = explain(flower, raised)
    try:
        return form.failure(flower, code, reason, short, task)
    except Exception:  # what the app left cannot be written, and may be why it failed
        return form.failure(flower, code, reason, short)


def give(sock, form, reply, fd):
    """Write the reply to its file and say so; if it cannot be written, say that."""
    try:
        size = form.write_unlimited(reply, fd)
    except (OSError, MemoryError) as ex:
        text = f"The ClientApp's reply of {reply.size()} bytes could not be written: {ex}"
        send(sock, form.VERSION, FAILURE, 0, CRASHED, text + form.limit_text())
        return
    send(sock, form.VERSION, REPLY, size)


def load(flower):
    """Flower's modules stay to the end. No collection looks at them while they are imported, nor
    later, nor when the interpreter ends: that would take longer than most apps. What the app makes
    is collected and ends as ever."""
    collects = gc.isenabled()  # an operator's hook may have said no
    gc.disable()
    flower.load()
    gc.freeze()
    if collects:
        gc.enable()


def main():
    sock = open_socket()
    start = os.environ.pop("FLWR_APP_ZYGOTE", None)  # the path of flwr-app-start
    flower, form, dependencies, cage, zygote = own_modules(start is not None)
    sys.argv = ["flwr-clientapp"]
    fork = None
    if zygote:
        fork = zygote.serve(sock, start, lambda: load(flower), flower.load_app, cage is not None)
        sock = fork.socket
    kind, is_first = cage.take_kind() if cage else (None, False)
    settings = dependencies.take_settings() if dependencies else None

    def prepare(task):
        if kind and is_first:
            cage.tell_needs(kind, task.app_dir)
        if settings:
            dependencies.install(settings, task.app_dir, task.fab_id)

    def failed(task, raised):
        if kind and task:
            cage.tell_refusal(kind, raised, task.app_dir)

    try:
        if not fork:
            load(flower)
    except Exception as ex:
        import traceback

        traceback.print_exc()
        text = f"flwr: {type(ex).__name__}: {text_of(ex)}"
        send(sock, form.VERSION, HELLO, os.getpid(), 1, text)
        sys.exit(1)
    about = f"python {sys.version.split()[0]}, flwr {flower.version}"
    send(sock, form.VERSION, HELLO, os.getpid(), 0, about)
    fd = receive_task(sock)
    load_app = fork.load_app if fork else flower.load_app
    give(sock, form, answer(flower, form, fd, prepare, load_app, failed), fd)
    if fork:
        fork.replied()
    # The rest is Python's own end: threads, exit handlers, finalizers, files.


# A child that multiprocessing spawns imports this file again: it must do nothing there.
if __name__ == "__main__":
    main()
