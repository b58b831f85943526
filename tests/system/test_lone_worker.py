"""Our flwr-clientapp, started by somebody else than a SuperNode."""

import os
import signal
from pathlib import Path

import grpc
import pytest

from federation.processes import alive, program_below, wait_until
from flwr.proto import clientappio_pb2 as api
from flwr.proto.clientappio_pb2_grpc import ClientAppIoStub
from test_failures import REAPER_ENDED

pytestmark = [pytest.mark.ours, pytest.mark.shared]

FAILED = r"message failed: "


class Bench:
    """A SuperNode whose worker API has an address, and workers for its tokens."""

    def __init__(self, federation, desk):
        self.federation = federation
        self.desk = desk
        self.program = Path(os.environ["FLWR_BIN_DIR"]) / "flwr-clientapp"
        self.node = federation.start_node(options={"--clientappio-api-address": "127.0.0.1:0"})
        self.address = self.node.wait_log(r"worker API: address=(\S+)").group(1)
        self.judge = federation.judge()
        (self.node_id,) = self.judge.nodes(1)

    def worker(self, token):
        argv = [self.program, "--insecure", "--token", token]
        argv += ["--clientappio-api-address", self.address]
        argv += ["--python", self.federation.bin / "python"]
        name = self.federation.name("flwr-clientapp")
        return self.federation.start(name, argv, self.federation.environ(name))

    def at_work(self, file):
        """(message, the SuperNode's idea of a worker, the worker, pids of the app and children)"""
        message = self.judge.send(self.node_id, "sit", file=str(file), seconds=1000)
        place, token, _ = self.desk.worker()
        worker = self.worker(token)
        wait_until(file.exists, "the app is at work", 30)
        pids = [int(pid) for pid in file.read_text(encoding="utf-8").split()]
        return message, place, worker, pids


@pytest.fixture
def bench(federation, desk):
    return Bench(federation, desk)


def test_messages(bench):
    """Whole messages; the app's error is an answer, too."""
    bench.federation.expect(FAILED)
    for what, code in (("count", 0), ("raise", 2), ("count", 0)):
        message = bench.judge.send(bench.node_id, what)
        place, token, _ = bench.desk.worker()
        assert bench.worker(token).wait(30) == 0
        place.close()
        assert bench.judge.reply(message)["code"] == code


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stopped(bench, tmp_path, number):
    """It answers for its message with an error, takes its app along, and ends with status 0."""
    bench.federation.expect(FAILED)
    message, place, worker, pids = bench.at_work(tmp_path / "at-work")
    worker.signal(number)
    reply = bench.judge.reply(message)  # the SuperNode's own worker is still there
    assert reply["code"] == 8 and "stopped" in reply["reason"], reply
    assert worker.wait() == 0
    bench.federation.wait_gone(pids)
    place.close()


def test_token_is_hidden(bench, tmp_path):
    """No app reads it from a command line: nor that of the reaper, which a container has as PID 1."""
    bench.federation.expect(FAILED)
    message, place, worker, pids = bench.at_work(tmp_path / "at-work")
    for pid in (worker.pid, program_below(worker.pid)):
        words = Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8").split("\0")
        assert words[2] == "--token" and set(words[3]) == {"x"}
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 0
    bench.federation.wait_gone(pids)
    place.close()
    assert bench.judge.reply(message)["code"] == 8


def test_killed(bench, tmp_path):
    """The app goes with it, and all that this has started."""
    bench.federation.expect(FAILED)
    message, place, worker, pids = bench.at_work(tmp_path / "at-work")
    worker.kill()
    try:
        bench.federation.wait_gone(pids)
    finally:
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
    place.close()
    assert bench.judge.reply(message)["code"] == 8


def test_reaper_killed(bench, tmp_path):
    """It answers for its message with an error, and takes its app along."""
    bench.federation.expect(FAILED, REAPER_ENDED)
    message, place, worker, pids = bench.at_work(tmp_path / "at-work")
    program = worker.pid
    os.kill(worker.popen.pid, signal.SIGKILL)
    reply = bench.judge.reply(message)  # the SuperNode's own worker is still there
    assert reply["code"] == 8 and "stopped" in reply["reason"], reply
    bench.federation.wait_gone([program, *pids])
    place.close()


@pytest.mark.parametrize("patient", [True, False])
def test_end_of_app(bench, tmp_path, patient):
    """It gives the reply at once, and ends when the app has ended as Python does, or is stopped."""
    message, pipe, file = None, tmp_path / "word", tmp_path / "rows"
    os.mkfifo(pipe)
    message = bench.judge.send(bench.node_id, "late", pipe=str(pipe), file=str(file))
    place, token, _ = bench.desk.worker()
    worker = bench.worker(token)
    reply = bench.judge.reply(message)
    assert reply["code"] == 0 and alive(worker.pid)
    if patient:
        pipe.write_text("go on", encoding="utf-8")
    else:
        bench.federation.expect("cut off at its end, when it was told to stop")
        worker.signal(signal.SIGTERM)
    assert worker.wait(20) == 0
    bench.federation.wait_gone([reply["metrics"]["app"]["pid"]])
    assert file.read_text(encoding="utf-8") == ("row thread exit" if patient else "")
    place.close()


def test_wrong_token(bench):
    """It says so and ends; the message waits for the right one."""
    bench.federation.expect(r"worker API: .*refused: ")
    message = bench.judge.send(bench.node_id, "count")
    place, token, _ = bench.desk.worker()
    wrong = bench.worker(token ^ 1)
    assert wrong.wait(30) == 1
    assert wrong.find(r"ERROR .*INVALID_ARGUMENT")
    assert bench.worker(token).wait(30) == 0
    place.close()
    assert bench.judge.reply(message)["code"] == 0


def test_outputs_refused(bench):
    """Somebody else has answered for it: status 1."""
    bench.federation.expect(FAILED, r"worker API: .*refused: ")
    message = bench.judge.send(bench.node_id, "count")
    place, token, _ = bench.desk.worker()
    with grpc.insecure_channel(bench.address) as channel:
        stub = ClientAppIoStub(channel)
        inputs = stub.PullClientAppInputs(api.PullClientAppInputsRequest(token=token), timeout=10)
        assert inputs.message.metadata.message_id == message
    place.close()
    assert bench.judge.reply(message)["code"] == 8
    late = bench.worker(token)
    assert late.wait(30) == 1
    assert late.find(r"ERROR .*FAILED_PRECONDITION|ERROR .*INVALID_ARGUMENT")
