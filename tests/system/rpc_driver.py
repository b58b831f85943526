"""Drives the C program rpc-client (tests/kit/rpc_client.c)."""

import os
import queue
import subprocess
import threading
from pathlib import Path

SECONDS = 60  # nothing takes that long


class Line(dict):
    """A line of the program: its first word, and the others by name; bytes where it writes hex."""

    def __init__(self, text):
        self.name, *words = text.split(" ")
        super().__init__(word.partition("=")[::2] for word in words)
        if "details" in self:
            self["details"] = bytes.fromhex(self["details"]).decode(errors="replace")
        if "status" in self:
            self["status"] = int(self["status"])
        if "size" in self:
            self["size"] = int(self["size"])
            self["body"] = bytes.fromhex(self["body"])

    def header(self, name):
        return bytes.fromhex(self[name])


class RpcClient:
    def __init__(self, target, *options, program="rpc-client"):
        path = Path(os.environ["FLWR_BIN_DIR"]).parent / "tests" / program
        self.process = subprocess.Popen(
            [path, target, *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.lines = queue.Queue()
        self.log = []
        for pipe, put in ((self.process.stdout, self.lines.put), (self.process.stderr, self.log.append)):
            threading.Thread(target=self.read, args=(pipe, put), daemon=True).start()

    def read(self, pipe, put):
        for line in pipe:
            put(line.rstrip("\n"))

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind:
            self.process.kill()
        self.process.stdin.close()
        assert kind or self.process.wait(SECONDS) == 0, self.log
        if not kind:
            assert self.next("gone").name == "gone"

    def do(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()

    def next(self, *names):
        """The next line, which must have one of these names."""
        line = Line(self.lines.get(timeout=SECONDS))
        assert line.name in names, (line.name, line)
        return line

    def unary(self, path, *words):
        self.do(" ".join(["unary", f"path=/test.Service/{path}", *words]))
        return self.next("result", "refused")

    def start(self, path, *words):
        self.do(" ".join(["start", f"path=/test.Service/{path}", *words]))

    def until(self, name, *others):
        """Lines until one has this name: (those before, that one)."""
        before = []
        while True:
            line = self.next(name, *others)
            if line.name == name:
                return before, line
            before.append(line)

    def tell(self):
        self.do("tell")
        return {name: int(value) for name, value in self.next("metrics").items()}

    def memory(self):
        """Bytes that it has had at most."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return 1024 * int(text.split("VmHWM:")[1].split()[0])
