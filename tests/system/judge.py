"""The test's end of the judge: a run whose ServerApp sends what a test asks for."""

import json
import select
import socket
import tempfile
import time
from pathlib import Path

from federation.processes import Late, wait_until

APP = Path(__file__).parent / "apps/judge"


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

    def nodes(self, number, seconds=20):
        """The ids of the nodes that the SuperLink has for the run: wait for so many."""
        end = time.monotonic() + seconds
        found = []
        while len(found) != number:
            if time.monotonic() > end:
                raise Late(f"{number} nodes are expected, there are {len(found)}")
            self.tell(nodes=True)
            said = self.hear(end)
            while "nodes" not in said:
                said = self.hear(end)
            found = [int(node) for node in said["nodes"]]
        return found

    def send(self, node, what, *, type="query", group="1", ttl=3600.0, bytes=0, **order):
        """Send a message; its id."""
        order["what"] = what
        return self.send_order(node, type=type, group=group, ttl=ttl, bytes=bytes, do=order)

    def send_and_forget(self, node, what, ttl, **order):
        """Send a message whose reply nobody asks the SuperLink for; its id."""
        order["what"] = what
        return self.send_order(node, ttl=ttl, do=order, forget=True)

    def send_reconnect(self, node, config):
        """Send a control message; its id."""
        return self.send_order(node, type="reconnect", config=config)

    def send_order(self, node, **order):
        usual = {"type": "query", "group": "1", "ttl": 3600.0, "bytes": 0, "do": {}}
        self.tell(node=str(node), **{**usual, **order})
        end = time.monotonic() + 30
        while True:
            said = self.hear(end)
            if "sent" in said:
                self.digests[said["sent"]] = said["digest"]
                return said["sent"]

    def reply(self, message, seconds=30):
        """The reply to a message."""
        end = time.monotonic() + seconds
        while message not in self.replies:
            self.hear(end)
        return self.replies[message]

    def ask(self, node, what, seconds=30, **order):
        return self.reply(self.send(node, what, **order), seconds)


def serves(judge, node):
    """Messages are served normally, state is kept."""
    reply = judge.ask(node, "count")
    assert reply["code"] == 0, reply
    return reply["metrics"]["counter"]["n"]


def at_work(judge, node, file, **order):
    """Have an app sit in one long native call: (message, pids of the app and its two children)."""
    message = judge.send(node, "sit", file=str(file), seconds=1000, **order)
    wait_until(file.exists, "the app is at work", 30)
    return message, [int(pid) for pid in file.read_text(encoding="utf-8").split()]
