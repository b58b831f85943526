"""Programs that serve by common/rpc, as tests see them: their settings, words and ends; and calls
of rpc-server (tests/kit/rpc_server.c) by grpcio."""

import contextlib
import os
import queue
import re
import subprocess
import threading
from pathlib import Path

import grpc
import pytest

UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


def program(name):
    return Path(os.environ["FLWR_BIN_DIR"]).parent / "tests" / name


class Peer:
    """A program, and what it says, line by line."""

    def __init__(self, *argv):
        self.process = subprocess.Popen(
            [str(each) for each in argv],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.lines = []
        self.queue = queue.Queue()
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        for line in self.process.stdout:
            self.queue.put(line)
        self.queue.put(None)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()

    def tell(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def expect(self, pattern):
        """The next line that has it; those before are in self.lines."""
        while (line := self.next()) is not None:
            self.lines.append(line)
            if found := re.search(pattern, line):
                return found
        raise AssertionError(f"no {pattern!r} in {self.lines}")

    def next(self):
        """The next line; None: it has ended, or says nothing for long."""
        try:
            return self.queue.get(timeout=20)
        except queue.Empty:
            return None

    def end(self):
        """It ends by itself; its status."""
        return self.process.wait(30)


class Server(Peer):
    """rpc-server with these settings; its ports."""

    def __init__(self, *settings, ports=1):
        super().__init__(program("rpc-server"), *settings)
        self.ports = [int(self.expect(r"^port (\d+)$").group(1)) for _ in range(ports)]
        self.expect("^waited: 0$")
        self.channels = []

    def __exit__(self, *error):
        for channel in self.channels:
            channel.close()
        super().__exit__(*error)

    def channel(self, target=None, credentials=None, options=()):
        """A channel of its own connection."""
        target = target or f"127.0.0.1:{self.ports[0]}"
        options = [*UNLIMITED, ("grpc.use_local_subchannel_pool", 1), *options]
        if credentials:
            channel = grpc.secure_channel(target, credentials, options=options)
        else:
            channel = grpc.insecure_channel(target, options=options)
        self.channels.append(channel)
        return channel

    def memory(self, which="memory"):
        """Bytes that it holds, or has held at its "peak"."""
        self.tell(which)
        return int(self.expect(r"^memory (\d+)$").group(1)) << 10

    def held(self, before):
        """Bytes that it holds more than then; a sanitizer's own are not counted."""
        return 0 if os.environ.get("FLWR_SANITIZE") == "1" else self.memory() - before

    def stop(self, grace_ms=0):
        self.tell(f"stop {grace_ms}")
        self.expect("^stopped$")
        assert self.end() == 0


@pytest.fixture
def serve():
    with contextlib.ExitStack() as stack:
        yield lambda *settings, **more: stack.enter_context(
            Server(*(settings or ("port=127.0.0.1:0",)), **more)
        )


@pytest.fixture
def server(serve):
    return serve()


def path(method):
    return f"/test.Rpc/{method}"


def unary(channel, method, body=b"", **options):
    return channel.unary_unary(path(method))(body, timeout=30, **options)


def fails(call, code, details=None):
    with pytest.raises(grpc.RpcError) as caught:
        call()
    assert caught.value.code() == code, caught.value
    if details is not None:
        assert caught.value.details() == details
    return caught.value
