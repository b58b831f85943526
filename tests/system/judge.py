"""The test's end of the judge: a run whose ServerApp sends what a test asks for."""

import json
import os
import re
import select
import signal
import socket
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

from kit.relay import Relay

from federation.processes import Late, wait_until

APP = Path(__file__).parent / "apps/judge"

AWAY = r"SuperLink .*: \w+ failed: .*; trying again in"  # a line of a node


class Judge:
    """A run of the judge app; messages go out and replies come in through it."""

    def __init__(self, federation, overrides="", app=APP):
        self.federation = federation
        self.folder = tempfile.TemporaryDirectory(prefix="judge-")  # short: a socket's path is
        path = f"{self.folder.name}/socket"
        self.lines = b""
        self.replies = {}
        self.arrived = {}
        self.digests = {}  # of the arrays in each message that was sent
        self.created = {}  # by the ServerApp's clock
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            listener.listen(1)
            listener.settimeout(60)
            self.run_id = federation.run(app, f'judge="{path}" {overrides}')
            self.socket, _ = listener.accept()

    def close(self):
        """The ServerApp ends, and with it the run."""
        self.socket.close()
        self.folder.cleanup()

    def tell(self, **what):
        self.socket.sendall(json.dumps(what).encode() + b"\n")

    def hear(self, end):
        """The next line; replies are put where reply() finds them."""
        while b"\n" not in self.lines:
            left = max(0, end - time.monotonic())
            if not select.select([self.socket], [], [], left)[0]:
                raise Late("the ServerApp has said nothing in time")
            piece = self.socket.recv(1 << 20)
            if not piece:
                raise RuntimeError(f"the ServerApp ended:\n{self.federation.superlink.text()}")
            self.lines += piece
        line, _, self.lines = self.lines.partition(b"\n")
        said = json.loads(line)
        if "reply" in said:
            assert said["to"] not in self.replies, "a message was answered twice"
            self.replies[said["to"]] = said["reply"]
            self.arrived[said["to"]] = time.monotonic()
        return said

    def nodes(self, number, seconds=60):
        """The ids of the nodes that the SuperLink has for the run: wait for so many."""
        end = time.monotonic() + seconds
        found = []
        while len(found) != number:
            if time.monotonic() > end:
                raise Late(f"{number} nodes are expected, there are {len(found)}")
            found = [node for node in self.all_nodes(end) if node not in self.federation.others]
        return found

    def all_nodes(self, end):
        self.tell(nodes=True)
        said = self.hear(end)
        while "nodes" not in said:
            said = self.hear(end)
        return [int(node) for node in said["nodes"]]

    def forget(self):
        """Replies that are missing are not asked for any more; the nodes that are there."""
        self.tell(forget=True)
        return set(self.all_nodes(time.monotonic() + 20))

    def send(
        self, node, what, *, type="query", group="1", ttl=3600.0, bytes=0, arrays=None, **order
    ):
        """Send a message; its id. arrays: how many bytes each has: {record: {array: bytes}}."""
        order["what"] = what
        more = {"arrays": arrays} if arrays else {}
        return self.send_order(
            node, type=type, group=group, ttl=ttl, bytes=bytes, do=order, **more
        )

    def send_and_forget(self, node, what, ttl, **order):
        """Send a message whose reply nobody asks the SuperLink for; its id."""
        order["what"] = what
        return self.send_order(node, ttl=ttl, do=order, forget=True)

    def send_reconnect(self, node, config):
        """Send a control message; its id."""
        return self.send_order(node, type="reconnect", config=config)

    def send_order(self, node, seconds=60, **order):
        usual = {"type": "query", "group": "1", "ttl": 3600.0, "bytes": 0, "do": {}}
        self.tell(node=str(node), **{**usual, **order})
        end = time.monotonic() + seconds
        while True:
            said = self.hear(end)
            if "sent" in said:
                self.digests[said["sent"]] = said["digest"]
                self.created[said["sent"]] = said["created_at"]
                return said["sent"]

    def reply(self, message, seconds=60):
        """The reply to a message."""
        end = time.monotonic() + seconds
        while message not in self.replies:
            self.hear(end)
        return self.replies[message]

    def ask(self, node, what, seconds=60, **order):
        return self.reply(self.send(node, what, **order), seconds)


def serves(judge, node):
    """Messages are served normally, state is kept."""
    reply = judge.ask(node, "count")
    assert reply["code"] == 0, reply
    return reply["metrics"]["counter"]["n"]


def fails(judge, node):
    """An app's error is an answer."""
    reply = judge.ask(node, "raise")
    assert reply["code"] == 2 and "division by zero" in reply["reason"], reply


def echoes(judge, node, arrays=None, seconds=60):
    """Contents come back as they were; by default 7 MiB, and a record without anything."""
    message = judge.send(node, "echo", arrays=arrays or {"a": {"x": 7 << 20}, "b": {}})
    reply = judge.reply(message, seconds)
    assert reply["code"] == 0 and reply["digest"] == judge.digests[message], reply


def stays_registered(federation, database):
    """A SuperLink that comes back still knows its node, which goes on as it was."""
    federation.start_superlink(database)
    node = federation.start_node()
    judge = federation.judge()
    (node_id,) = judge.nodes(1)
    assert serves(judge, node_id) == 1
    federation.expect(AWAY)
    federation.superlink.kill()
    node.wait_log(AWAY)
    federation.start_superlink(database)
    again = federation.judge()
    assert again.nodes(1) == [node_id]
    assert again.reply(again.send(node_id, "count"), 60)["code"] == 0
    assert len(node.text().split("registered: node_id=")) == 2


@contextmanager
def behind_relay(federation):
    """A node that has served a message through a relay, and stops well: (relay, node, judge, id)."""
    federation.start_superlink()
    relay = Relay(federation.fleet)
    try:
        node = federation.start_node(superlink=f"127.0.0.1:{relay.port}")
        judge = federation.judge()
        (node_id,) = judge.nodes(1)
        assert serves(judge, node_id) == 1
        yield relay, node, judge, node_id
        assert node.stop() == 0
    finally:
        relay.close()


def after_a_cut(federation, cut_at, failed, **order):
    """The connection breaks after so many bytes of a reply, and is mended: (judge, message, reply)."""
    with behind_relay(federation) as (relay, node, judge, node_id):
        federation.expect(AWAY)
        relay.cut_when(cut_at)
        message = judge.send(node_id, "echo", **order)
        assert relay.was_cut.wait(30)
        node.wait_log(failed)
        relay.mend()
        reply = judge.reply(message, 60)
        assert reply["code"] == 0, reply
        assert serves(judge, node_id) == 2
    return judge, message, reply


def at_work(judge, node, file, **order):
    """Have an app sit in one long native call: (message, pids of the app and its two children)."""
    message = judge.send(node, "sit", file=str(file), seconds=1000, **order)
    wait_until(file.exists, "the app is at work", 60)
    return message, [int(pid) for pid in file.read_text(encoding="utf-8").split()]


def app_killed(federation, judge, node, file):
    """An app is killed at work: the reply says so at once, and nothing of it is left."""
    message, pids = at_work(judge, node, file)
    os.kill(pids[0], signal.SIGKILL)
    reply = judge.reply(message)
    assert reply["code"] == 8 and "SIGKILL" in reply["reason"], reply
    federation.wait_gone(pids)


def wait_known(node):
    """The node has found out which process the first worker is that has come to it, some milliseconds
    after the worker's first call: from then on it notices its end at once."""
    came = node.wait_log(r"worker came: from=(\S+)").group(1)
    node.wait_log(rf"worker API: {re.escape(came)}: the peer's process is known", 20)


def at_its_end(judge, node, folder):
    """An app that has replied and waits for a word: (its pid, the pipe for the word, its file)."""
    pipe, file = folder / "word", folder / "rows"
    os.mkfifo(pipe)
    reply = judge.ask(node, "late", pipe=str(pipe), file=str(file))
    assert reply["code"] == 0, reply
    return reply["metrics"]["app"]["pid"], pipe, file


def stopped_while_ending(node, node_id, judge, pipe):
    """The node is told to stop while an app works, which ends then: its result arrives."""
    os.mkfifo(pipe)
    message = judge.send(node_id, "wait", pipe=str(pipe))
    with open(pipe, "w", encoding="utf-8") as word:  # returns when the app has opened it
        node.signal(signal.SIGTERM)
        node.wait_log(r"stopping", 5)
        word.write("go on")
    assert judge.reply(message)["code"] == 0
