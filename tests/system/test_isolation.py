"""Process isolation: workers come to a SuperNode by themselves, ours and Flower's in any pairing."""

import os
import signal

import grpc
import pytest
from federation.http2 import PREFACE, Connection
from federation.processes import free_ports, tree_of, wait_until
from judge import app_killed, at_its_end, at_work, fails, serves
from kit.relay import Relay
from test_failures import REAPER_ENDED

from flwr.proto import clientappio_pb2 as api
from flwr.proto.clientappio_pb2_grpc import ClientAppIoStub

pytestmark = pytest.mark.shared

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


class Stranger:
    """A worker in the hands of the test, in its process."""

    def __init__(self, pair):
        self.channel = grpc.insecure_channel(pair.address, [("grpc.use_local_subchannel_pool", 1)])
        self.stub = ClientAppIoStub(self.channel)

    def get_token(self):
        """The token of the next message, for which a worker of Flower's would ask as often."""

        def ask():
            try:
                return self.stub.GetToken(api.GetTokenRequest(), timeout=10).token
            except grpc.RpcError as error:
                assert error.code() == grpc.StatusCode.FAILED_PRECONDITION
                return None

        return wait_until(ask, "there is a token")

    def pull(self, token):
        request = api.PullClientAppInputsRequest(token=token)
        return self.stub.PullClientAppInputs(request, timeout=10)

    def leave(self):
        self.channel.close()


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
    fails(pair.judge, pair.id)
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
    app_killed(federation, pair.judge, pair.id, tmp_path / "at-work")
    assert serves(pair.judge, pair.id) == 1


@ours
@pytest.mark.parametrize("supernode", ["ours", "python"])
def test_end_of_app(federation, tmp_path, supernode):
    """The reply goes out at once, the app ends as Python does, and then the next message comes."""
    pair = Pair(federation, supernode)
    pair.start_clientapp()
    _, pipe, file = at_its_end(pair.judge, pair.id, tmp_path)
    later = pair.judge.send(pair.id, "count")
    pipe.write_text("go on", encoding="utf-8")
    assert pair.judge.reply(later)["code"] == 0
    assert file.read_text(encoding="utf-8") == "row thread exit"


@ours
@pytest.mark.parametrize("supernode", ["ours", "python"])
def test_worker_killed(federation, tmp_path, supernode):
    """Its agent, the flwr-clientapp that runs on, answers for it."""
    pair = Pair(federation, supernode)
    federation.expect(FAILED, TOLD, ENDED)
    clientapp = pair.start_clientapp()
    message, pids = at_work(pair.judge, pair.id, tmp_path / "at-work")
    os.kill(worker_at(clientapp), signal.SIGKILL)
    reply = pair.judge.reply(message)
    assert reply["code"] == 8 and "SIGKILL" in reply["reason"]
    federation.wait_gone(pids)
    assert serves(pair.judge, pair.id) == 1


@ours
@pytest.mark.parametrize("supernode", ["ours", "python"])
def test_worker_told_to_end(federation, tmp_path, supernode):
    """By somebody who is not its agent: as if it had been killed."""
    pair = Pair(federation, supernode)
    federation.expect(FAILED, TOLD, ENDED)
    clientapp = pair.start_clientapp()
    message, pids = at_work(pair.judge, pair.id, tmp_path / "at-work")
    os.kill(worker_at(clientapp), signal.SIGTERM)
    reply = pair.judge.reply(message)
    assert reply["code"] == 8 and "SIGTERM" in reply["reason"]
    federation.wait_gone(pids)
    assert serves(pair.judge, pair.id) == 1


@ours
def test_cut_off(federation, tmp_path):
    """The connections of a worker break while its app works: it comes back, and is not given up."""
    pair = Pair(federation, worker_reconnect=5)
    federation.expect(ENDED, r"cannot be reached while a message is at work")
    relay = Relay(int(pair.address.rpartition(":")[2]))
    try:
        pair.address = f"127.0.0.1:{relay.port}"
        clientapp = pair.start_clientapp()
        pipe = tmp_path / "pipe"
        os.mkfifo(pipe)
        message = pair.judge.send(pair.id, "wait", pipe=str(pipe))
        with open(pipe, "w", encoding="utf-8") as word:
            relay.cut()
            pair.node.wait_log(r"the worker's connection has ended; it may come back within 5 s")
            pair.node.wait_log(r"the worker is back: run_id=\d+ ")
            word.write("go on")
        assert pair.judge.reply(message)["code"] == 0
        assert serves(pair.judge, pair.id) == 1
        assert clientapp.stop() == 0
    finally:
        relay.close()


@ours
def test_does_not_come_back(federation):
    """Its process lives, but it says no more."""
    pair = Pair(federation, worker_reconnect=1)
    federation.expect(FAILED, ENDED)
    stranger = Stranger(pair)
    message = pair.judge.send(pair.id, "count")
    stranger.pull(stranger.get_token())
    stranger.leave()
    reply = pair.judge.reply(message)
    assert reply["code"] == 8
    assert "did not come back within 1 s (--worker-reconnect)" in reply["reason"]
    pair.start_clientapp()
    assert serves(pair.judge, pair.id) == 1


@ours
def test_goes_with_a_token(federation):
    """Without having pulled anything: the message is for the next one."""
    pair = Pair(federation, worker_reconnect=0.5)
    federation.expect(FAILED, ENDED, r"the token is of no message")
    message = pair.judge.send(pair.id, "count")
    first, second = Stranger(pair), Stranger(pair)
    token = first.get_token()
    first.leave()
    other = second.get_token()
    assert other != token
    with pytest.raises(grpc.RpcError):
        second.pull(token)
    assert second.pull(other).message.metadata.message_id == message
    second.leave()
    assert pair.judge.reply(message)["code"] == 8


@ours
def test_time_over(federation, tmp_path):
    """The SuperNode answers; what still works for it elsewhere is ended."""
    pair = Pair(federation)
    federation.expect(FAILED)
    clientapp = pair.start_clientapp()
    message, pids = at_work(pair.judge, pair.id, tmp_path / "at-work", ttl=10.0)
    reply = pair.judge.reply(message)
    assert reply["code"] == 8 and "ttl of 10 s" in reply["reason"]
    clientapp.wait_log(r"is wanted from here no more")
    federation.wait_gone(pids)
    assert serves(pair.judge, pair.id) == 1


@ours
def test_garbage_and_quitters(federation):
    """Whoever babbles, or asks for messages and goes, keeps nobody from working."""
    pair = Pair(federation)
    federation.expect(r"worker API: ", ENDED)
    for number in range(100):
        with Connection(pair.address) as connection:
            connection.send(PREFACE if number % 2 else os.urandom(200))
        stranger = Stranger(pair)
        asks = stranger.stub.GetToken.future(
            api.GetTokenRequest(), metadata=[("flwr-native-wait-ms", "30000")]
        )
        asks.cancel()
        stranger.leave()
    pair.start_clientapp()
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
    reply = pair.judge.reply(message)
    assert reply["code"] == 8 and "process has ended" in reply["reason"]
    federation.wait_gone(pids)
    pair.start_clientapp()
    assert serves(pair.judge, pair.id) == 1


@ours
def test_reaper_of_clientapp_killed(federation, tmp_path):
    """The launcher answers for its message, and everything of it goes."""
    pair = Pair(federation)
    federation.expect(FAILED, TOLD, REAPER_ENDED)
    clientapp = pair.start_clientapp()
    message, pids = at_work(pair.judge, pair.id, tmp_path / "at-work")
    tree = tree_of(clientapp.pid)
    os.kill(clientapp.popen.pid, signal.SIGKILL)
    assert pair.judge.reply(message)["code"] == 8
    federation.wait_gone(tree + pids)


@ours
def test_python_worker_killed(federation, tmp_path):
    """Flower's own SuperNode would wait for ever."""
    pair = Pair(federation)
    federation.expect(FAILED, ENDED)
    clientapp = pair.start_clientapp("python")
    message, pids = at_work(pair.judge, pair.id, tmp_path / "at-work")
    assert pids[0] == clientapp.pid
    clientapp.kill()
    reply = pair.judge.reply(message)
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
    assert clientapp.wait() == 0
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
    reply = pair.judge.reply(message)
    assert reply["code"] == 8 and "stopped" in reply["reason"]
    assert clientapp.wait() == 0
    federation.wait_gone(pids)


@ours
def test_clientapp_stopped_twice(federation, tmp_path):
    """Nothing is waited for, nothing is left."""
    pair = Pair(federation)
    federation.expect(FAILED, ENDED, r"stopping now")
    clientapp = pair.start_clientapp(grace=60)
    message, pids = at_work(pair.judge, pair.id, tmp_path / "at-work")
    clientapp.signal(signal.SIGTERM)
    clientapp.wait_log(r"stopping: ")
    clientapp.signal(signal.SIGTERM)
    clientapp.wait()
    federation.wait_gone(pids[:2])
    assert pair.judge.reply(message)["code"] == 8


@ours
def test_clientapp_stopped_without_a_supernode(federation, tmp_path):
    """There is nobody to answer to."""
    pair = Pair(federation)
    federation.expect(TOLD, r"cannot be reached", r"message \d+ is not answered")
    clientapp = pair.start_clientapp(grace=1)
    _, pids = at_work(pair.judge, pair.id, tmp_path / "at-work")
    pair.node.kill()
    clientapp.signal(signal.SIGTERM)
    clientapp.wait_log(r"message \d+ is not answered")
    assert clientapp.wait() == 0
    federation.wait_gone(pids)


@ours
def test_supernode_stopped_while_nobody_has_come(federation):
    pair = Pair(federation, grace=1)
    federation.expect(FAILED, r"the grace of 1 s is over")
    message = pair.judge.send(pair.id, "count")
    pair.node.wait_log(r"message received: ")
    pair.node.signal(signal.SIGTERM)
    reply = pair.judge.reply(message)
    assert reply["code"] == 8 and "stopped" in reply["reason"]
    assert pair.node.wait(15) == 0


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
    assert pair.judge.reply(message)["code"] == 0
    assert clientapp.wait() == 0


@ours
def test_open_address(federation):
    """Other machines could take messages: said, once."""
    federation.expect(r"is open to other machines")
    federation.start_superlink()
    options = {"--isolation": "process", "--clientappio-api-address": "0.0.0.0:0"}
    node = federation.start_node(options=options)
    assert node.find(r"WARN .*0\.0\.0\.0:0 is open to other machines and has no TLS")
    assert node.stop() == 0
    assert node.text().count("is open to other machines") == 1


@ours
def test_default_address(federation):
    federation.start_superlink()
    node = federation.start_node(options={"--isolation": "process"})
    assert node.find(r"worker API: address=127\.0\.0\.1:9094$")
