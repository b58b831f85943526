"""The Python end of an app process: imports flwr, waits for its task, runs the ClientApp, replies.

Started by an agent as `python3 -u main.py` with the descriptor number of its socket in
FLWR_APP_FD. What passes over the socket is described in docs/app-form.md.
"""

import os
import sys

LOAD_REASON = "An exception was raised when attempting to load `ClientApp`"
TEXT_MAX = 1024  # bytes of a hello's text
HELLO, TASK, REPLY = 1, 2, 3


class LoadError(Exception):
    """There is no ClientApp where one should be."""


def own_modules():
    """Ours, leaving neither their names nor their folder to the app: it may have a form.py too."""
    here = os.path.dirname(os.path.abspath(__file__))
    if not sys.path or sys.path[0] != here:
        sys.path.insert(0, here)
    import flower
    import form

    del sys.modules["flower"], sys.modules["form"], sys.path[0]
    return flower, form


def open_socket():
    import socket

    sock = socket.socket(fileno=int(os.environ.pop("FLWR_APP_FD")))
    sock.set_inheritable(False)
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
        data, fds, _, _ = socket.recv_fds(sock, 64, 1, socket.MSG_CMSG_CLOEXEC)
    except ConnectionError:
        data = b""
    if not data:
        os._exit(0)  # the worker has gone, so there is nothing to do and nobody to tell
    if int.from_bytes(data[:4], "little") != TASK or len(fds) != 1:
        sys.exit("app process: what came from the worker is no task")
    return fds[0]


def load_app(flower, app_dir, reference):
    """The ClientApp that reference, "package.module:attribute", names."""
    import importlib

    module_name, _, attributes = reference.partition(":")
    if not module_name or not attributes:
        raise LoadError(f"'{reference}' is not of the form module:attribute")
    if app_dir and app_dir not in sys.path:
        sys.path.insert(0, app_dir)
    try:
        found = importlib.import_module(module_name)
    except ModuleNotFoundError as ex:
        raise LoadError(str(ex)) from ex
    try:
        for name in attributes.split("."):
            found = getattr(found, name)
    except AttributeError as ex:
        raise LoadError(f"module '{module_name}' has no attribute '{attributes}'") from ex
    if not isinstance(found, flower.ClientApp):
        raise LoadError(f"'{reference}' is a {type(found).__name__}, not a ClientApp")
    return found


def answer(flower, form, fd):
    """Run the app; the reply in its form, whatever the app does but end the process."""
    import traceback

    task = None
    try:
        task = form.read_task(flower, fd)
        app = load_app(flower, task.app_dir, task.clientapp)
        reply = app(message=task.message, context=task.context)
        if not isinstance(reply, flower.Message):
            raise TypeError(f"ClientApp returned a {type(reply).__name__}, not a Message")
        return form.reply(flower, reply, task.context.state, task.kinds)
    except LoadError as ex:
        code, reason, raised = 1, f"{LOAD_REASON}: {ex}", ex
    except Exception as ex:
        code, reason, raised = 2, str(type(ex)) + ":<'" + str(ex) + "'>", ex
    traceback.print_exception(type(raised), raised, raised.__traceback__)
    short = "".join(traceback.format_exception_only(type(raised), raised)).strip()
    try:
        return form.failure(flower, code, reason, short, task)
    except Exception:  # what the app left cannot be written, and may be why it failed
        return form.failure(flower, code, reason, short)


def leave():
    """End as the interpreter does: threads, exit handlers, output. Without freeing the modules
    one by one, which takes long and gives nothing that the end of the process does not."""
    import atexit
    import threading

    for end in (getattr(threading, "_shutdown", None), getattr(atexit, "_run_exitfuncs", None)):
        if end:
            end()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, OSError, ValueError):
            pass
    os._exit(0)


def main():
    sock = open_socket()
    flower, form = own_modules()
    sys.argv = ["flwr-clientapp"]
    try:
        flower.load()
    except Exception as ex:
        import traceback

        traceback.print_exc()
        send(sock, form.VERSION, HELLO, os.getpid(), 1, f"flwr: {type(ex).__name__}: {ex}")
        sys.exit(1)
    about = f"python {sys.version.split()[0]}, flwr {flower.version}"
    send(sock, form.VERSION, HELLO, os.getpid(), 0, about)
    fd = receive_task(sock)
    size = answer(flower, form, fd).write(fd)
    os.close(fd)
    send(sock, form.VERSION, REPLY, size)
    leave()


# A child that multiprocessing spawns imports this file again: it must do nothing there.
if __name__ == "__main__":
    main()
