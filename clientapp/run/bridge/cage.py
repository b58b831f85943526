"""What an app in a cage (--sandbox) is told in the log: what its bundle says it needs, and when it
was refused something, which option allows that. Nothing is granted here."""

import errno
import os
import sys

KINDS = ("node", "strict")
REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS)


def take_kind():
    """(the cage or None, whether this is the first message of its run)"""
    kind, _, first = os.environ.pop("FLWR_APP_SANDBOX", "").partition(":")
    return (kind if kind in KINDS else None), first == "first"


def say(text):
    try:
        print(text, file=sys.stderr, flush=True)
    except Exception:  # the app has closed or replaced it
        pass


def needs_of(app_dir):
    """What [tool.flwr-native] needs = [...] in pyproject.toml names."""
    try:
        with open(os.path.join(app_dir, "pyproject.toml"), "rb") as file:
            text = file.read()
        if b"flwr-native" not in text:
            return []
        try:
            import tomllib
        except ImportError:
            import tomli as tomllib
        needs = tomllib.loads(text.decode())["tool"]["flwr-native"]["needs"]
        return [each for each in needs if isinstance(each, str)][:16]
    except Exception:  # it is shown, and nothing hangs on it
        return []


def tell_needs(kind, app_dir):
    needs = needs_of(app_dir)
    if needs:
        listed = ", ".join(ascii(each)[1:-1][:64] for each in needs)
        say(f"the app says that it needs: {listed} (--sandbox {kind} decides what it has)")


def refusal(raised):
    """The error of a refused call behind an exception; None: there is none."""
    seen = set()
    while raised is not None and id(raised) not in seen:
        seen.add(id(raised))
        if isinstance(raised, OSError) and raised.errno in REFUSED:
            return raised
        raised = raised.__cause__ or raised.__context__
    return None


def is_below(path, folder):
    return path == folder or path.startswith(folder + os.sep)


def what_allows(kind, error, app_dir):
    name = error.filename
    if isinstance(name, bytes):
        name = os.fsdecode(name)
    if not isinstance(name, str):
        if kind == "strict":
            return "--app-network allows connections, if it was one"
        return None
    path = os.path.realpath(name)
    if is_below(path, os.path.realpath(app_dir)):
        return f"{name!a}: --app-dir-writable allows apps to write beside their files"
    if kind == "strict":
        return f"{name!a}: --data-dir allows it, for a directory or a file"
    return f"{name!a}: it belongs to the node or to another app, or the user of apps has no right to it"


def tell_refusal(kind, raised, app_dir):
    error = refusal(raised)
    what = error and what_allows(kind, error, app_dir)
    if what:
        say(f"--sandbox {kind}: the app was refused something: {what}")
