"""What an app can reach of the node that runs it."""

import json
import os
import re
import resource
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.ours,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to start a node as another user"),
]

USER = 20001
AS_USER = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", "--"]
CORE = 4096
HIDDEN = {"SSH_AUTH_SOCK": "/x", "NOTIFY_SOCKET": "/x", "LISTEN_FDS": "1", "XDG_RUNTIME_DIR": "/x"}


def seen_by_app(federation, monkeypatch, reachable, before, options):
    """The node, and what its app says."""
    start = federation.start

    def start_as(name, argv, env, cwd=None):
        return start(name, [*(before if "supernode" in name else []), *argv], env, cwd)

    monkeypatch.setattr(federation, "start", start_as)
    federation.start_superlink()
    env = {**HIDDEN, "A_SECRET": "x", "A_VALUE": "x", "FLWR_HOME": str(reachable / "flwr")}
    options = {"--app-env-hide": "A_SEC*,ANOTHER", **options}
    old = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (CORE, old[1]))
    try:
        node = federation.start_node(options=options, env=env)
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, old)
    judge = federation.judge()
    (node_id,) = judge.nodes(1)
    reply = judge.ask(node_id, "look", process=node.pid)
    assert reply["code"] == 0, reply
    return node, json.loads(reply["configs"]["known"]["json"])


def check(node, seen):
    assert seen["no-new-privileges"] == "1"
    assert not {*HIDDEN, "A_SECRET"} & {*seen["variables"]}
    assert {"A_VALUE", "PATH", "HOME"} <= {*seen["variables"]}
    assert seen["core"] == CORE
    limits = Path(f"/proc/{node.pid}/limits").read_text(encoding="utf-8")
    assert re.search(r"Max core file size +0 ", limits)
    if os.environ.get("FLWR_SANITIZE") != "1":
        assert seen["memory"] == "Permission denied"
        assert seen["environ"] == "Permission denied"
        assert seen["descriptors"] == "Permission denied"


def test_same_user(federation, monkeypatch, reachable):
    os.chown(reachable, USER, USER)
    node, seen = seen_by_app(federation, monkeypatch, reachable, AS_USER, {})
    assert seen["user"] == str(USER)
    check(node, seen)


def test_user_of_apps(federation, monkeypatch, reachable):
    """Of a node that runs as root, with a umask that keeps all others out."""
    before = ["sh", "-c", 'umask 077; exec "$0" "$@"']
    options = {"--app-user": f"{USER}:{USER}"}
    node, seen = seen_by_app(federation, monkeypatch, reachable, before, options)
    assert (seen["user"], seen["groups"], seen["home"]) == (str(USER), [], "/")
    check(node, seen)
