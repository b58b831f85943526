"""Process isolation: workers come to a SuperNode by themselves, ours and Flower's in any pairing."""

import os
import signal

import pytest
from judge import at_work, serves

from federation.processes import free_ports, wait_until

FAILED = r"message failed: "
TOLD = r"(WARN|ERROR)\s+(supernode: \d+|clientapp): (\d+: )?message "
ENDED = r"the worker's connection has ended"

ours = pytest.mark.ours
PAIRINGS = [
    pytest.param("ours", "ours", id="both-ours"),
    pytest.param("ours", "python", id="our-supernode"),
    pytest.param("python", "ours", id="our-clientapp"),
    pytest.param("python", "python", id="both-flower"),
]


class Pair:
    """A SuperNode that starts nothing, and what is needed to start workers for it."""

    def __init__(self, federation, supernode="ours", **options):
        self.federation = federation
        federation.start_superlink()
        self.address = f"127.0.0.1:{free_ports(1)[0]}"
        self.options = {"--isolation": "process", "--clientappio-api-address": self.address}
        self.options |= {f"--{name.replace('_', '-')}": value for name, value in options.items()}
        self.node = self.start_node(supernode)
        self.judge = federation.judge()
        (self.id,) = self.judge.nodes(1)

    def start_node(self, supernode="ours"):
        return self.federation.start_node("name='x'", self.options, programs=supernode)

    def start_clientapp(self, programs="ours", **options):
        options = {f"--{name.replace('_', '-')}": value for name, value in options.items()}
        return self.federation.start_clientapp(self.address, options, programs)


def worker_at(clientapp):
    """The pid of the worker that a flwr-clientapp of ours has started last."""
    return int(clientapp.wait_log(r"worker started: message=\d+ pid=(\d+)").group(1))


@pytest.mark.parametrize("supernode, clientapp", PAIRINGS)
def test_messages(federation, supernode, clientapp):
    """Message after message, state is kept, an app's error is an answer."""
    pair = Pair(federation, supernode)
    federation.expect(FAILED, TOLD)
    pair.start_clientapp(clientapp)
    assert serves(pair.judge, pair.id) == 1
    reply = pair.judge.ask(pair.id, "raise")
    assert reply["code"] == 2 and "division by zero" in reply["reason"]
    assert serves(pair.judge, pair.id) == 2
    context = pair.judge.ask(pair.id, "context")
    assert '"name": ["str", "x"]' in context["configs"]["known"]["json"]


@ours
@pytest.mark.parametrize("supernode", ["ours", "python"])
def test_app_killed(federation, tmp_path, supernode):
    """Our worker answers for it, whoever the SuperNode is."""
    pair = Pair(federation, supernode)
    federation.expect(FAILED, TOLD)
    pair.start_clientapp()
    message, pids = at_work(pair.judge, pair.id, tmp_path / "at-work")
    os.kill(pids[0], signal.SIGKILL)
    reply = pair.judge.reply(message, 10)
    assert reply["code"] == 8 and "SIGKILL" in reply["reason"]
    federation.wait_gone(pids, 5)
    assert serves(pair.judge, pair.id) == 1


@ours
@pytest.mark.parametrize("supernode", ["ours", "python"])
def test_worker_killed(federation, tmp_path, supernode):
    """Its agent, the flwr-clientapp that runs on, answers for it."""
    pair = Pair(federation, supernode)
    federation.expect(FAILED, TOLD, ENDED)
    clientapp = pair.start_clientapp()
    message, pids = at_work(pair.judge, pair.id, tmp_path / "at-work")
    os.kill(worker_at(clientapp), signal.SIGKILL)
    reply = pair.judge.reply(message, 10)
    assert reply["code"] == 8 and "SIGKILL" in reply["reason"]
    federation.wait_gone(pids, 5)
    assert serves(pair.judge, pair.id) == 1


@ours
def test_clientapp_killed(federation, tmp_path):
    """Everything of it goes, the SuperNode answers at once, the next one is served."""
    pair = Pair(federation)
    federation.expect(FAILED, ENDED)
    clientapp = pair.start_clientapp()
    message, pids = at_work(pair.judge, pair.id, tmp_path / "at-work")
    pids.append(worker_at(clientapp))
    clientapp.kill()
    reply = pair.judge.reply(message, 10)
    assert reply["code"] == 8 and "process has ended" in reply["reason"]
    federation.wait_gone(pids[:2] + pids[3:], 1)  # but one that is in a session of its own
    os.kill(pids[2], signal.SIGKILL)
    pair.start_clientapp()
    assert serves(pair.judge, pair.id) == 1


@ours
def test_python_worker_killed(federation, tmp_path):
    """Flower's own SuperNode would wait for ever."""
    pair = Pair(federation)
    federation.expect(FAILED, ENDED)
    clientapp = pair.start_clientapp("python")
    message, pids = at_work(pair.judge, pair.id, tmp_path / "at-work")
    assert pids[0] == clientapp.pid
    clientapp.kill()
    reply = pair.judge.reply(message, 10)
    assert reply["code"] == 8 and "process has ended" in reply["reason"]
    for pid in pids[1:]:
        os.kill(pid, signal.SIGKILL)
    pair.start_clientapp("python")
    assert serves(pair.judge, pair.id) == 1


@ours
def test_nobody_comes(federation):
    pair = Pair(federation, clientapp_wait=2)
    federation.expect(FAILED)
    reply = pair.judge.ask(pair.id, "count")
    assert reply["code"] == 8 and "--clientapp-wait" in reply["reason"]
    pair.start_clientapp()
    assert serves(pair.judge, pair.id) == 1


@ours
def test_somebody_comes_late(federation):
    """The log says what waits for what; the message is not lost."""
    pair = Pair(federation)
    federation.expect(r"no worker has asked for a message")
    message = pair.judge.send(pair.id, "count")
    line = pair.node.wait_log(r"no worker has asked for a message .* run_id=\d+ .*")
    assert f"flwr-clientapp --insecure --clientappio-api-address {pair.address}" in line.group(0)
    pair.start_clientapp()
    assert pair.judge.reply(message)["code"] == 0


@ours
@pytest.mark.parametrize("supernode", ["ours", "python"])
def test_supernode_restarted(federation, supernode):
    """It is waited for, which is said once."""
    pair = Pair(federation, supernode)
    federation.expect(r"clientapp: the SuperNode at \S+ cannot be reached")
    clientapp = pair.start_clientapp()
    assert serves(pair.judge, pair.id) == 1
    pair.node.kill()
    clientapp.wait_log(r"the SuperNode at \S+ cannot be reached")
    pair.start_node(supernode)
    clientapp.wait_log(r"the SuperNode at \S+ is there again")
    (node,) = wait_until(
        lambda: [each for each in pair.judge.nodes(2, 60) if each != pair.id], "a new node"
    )
    assert serves(pair.judge, node) == 1
    assert clientapp.text().count("cannot be reached") == 1


@ours
def test_run_once(federation):
    pair = Pair(federation)
    clientapp = pair.start_clientapp(run_once=True)
    assert serves(pair.judge, pair.id) == 1
    assert clientapp.wait(10) == 0
    pair.start_clientapp()
    assert serves(pair.judge, pair.id) == 2


@ours
def test_clientapp_stopped(federation, tmp_path):
    """At SIGTERM the message at work gets its grace, then an error reply; nothing is left."""
    pair = Pair(federation)
    federation.expect(FAILED, TOLD)
    clientapp = pair.start_clientapp(grace=1)
    message, pids = at_work(pair.judge, pair.id, tmp_path / "at-work")
    clientapp.signal(signal.SIGTERM)
    reply = pair.judge.reply(message, 15)
    assert reply["code"] == 8 and "stopped" in reply["reason"]
    assert clientapp.wait(10) == 0
    federation.wait_gone(pids, 5)


@ours
def test_clientapp_finishes(federation, tmp_path):
    """A message that ends within the grace is answered as ever."""
    pair = Pair(federation)
    clientapp = pair.start_clientapp()
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    message = pair.judge.send(pair.id, "wait", pipe=str(pipe))
    with open(pipe, "w", encoding="utf-8") as word:
        clientapp.signal(signal.SIGTERM)
        clientapp.wait_log(r"stopping")
        word.write("go on")
    assert pair.judge.reply(message, 10)["code"] == 0
    assert clientapp.wait(10) == 0


@ours
def test_open_address(federation):
    """Other machines could take messages: said."""
    federation.expect(r"is open to other machines")
    federation.start_superlink()
    options = {"--isolation": "process", "--clientappio-api-address": "0.0.0.0:0"}
    node = federation.start_node(options=options)
    assert node.find(r"WARN .*0\.0\.0\.0:0 is open to other machines and has no TLS")


@ours
def test_default_address(federation):
    federation.start_superlink()
    node = federation.start_node(options={"--isolation": "process"})
    assert node.find(r"worker API: address=127\.0\.0\.1:9094$")
