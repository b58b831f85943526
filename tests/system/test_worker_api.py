"""The worker API as gRPC clients meet it: who may do what when, and how it is refused."""

import socket
from pathlib import Path

import grpc
import pytest

from flwr.common import serde
from flwr.proto import clientappio_pb2 as api
from flwr.proto.clientappio_pb2_grpc import ClientAppIoStub

pytestmark = pytest.mark.shared

REFUSED = r"worker API: .* refused: "
PRECONDITION = grpc.StatusCode.FAILED_PRECONDITION
INVALID = grpc.StatusCode.INVALID_ARGUMENT


def status_of(call, request):
    """The status of a call that must fail."""
    with pytest.raises(grpc.RpcError) as error:
        call(request, timeout=10)
    return error.value.code()


def pushed(token, inputs):
    """A good answer to the inputs: the message's content, and the context as it came."""
    message = serde.message_from_proto(inputs.message)
    reply = serde.message_to_proto(message.create_reply(message.content))
    return api.PushClientAppOutputsRequest(token=token, message=reply, context=inputs.context)


@pytest.mark.ours
def test_token_states(federation, desk):
    node = federation.start_node("partition-id=5", {"--clientappio-api-address": "127.0.0.1:0"})
    address = node.wait_log(r"worker API: address=(\S+)").group(1)
    assert not address.endswith(":0")
    federation.expect(REFUSED, r"message failed: ")
    judge = federation.judge()
    (node_id,) = judge.nodes(1)
    with grpc.insecure_channel(address) as channel:
        stub = ClientAppIoStub(channel)
        pull, push = stub.PullClientAppInputs, stub.PushClientAppOutputs
        nothing = api.PushClientAppOutputsRequest(token=1)

        # Nothing at work.
        assert status_of(stub.GetToken, api.GetTokenRequest()) is PRECONDITION
        assert status_of(pull, api.PullClientAppInputsRequest(token=1)) is PRECONDITION
        assert status_of(push, nothing) is PRECONDITION

        # At work, its inputs not yet pulled.
        message = judge.send(node_id, "echo", bytes=1000)
        worker, token, told = desk.worker()
        assert told.endswith(address)
        mine = api.PullClientAppInputsRequest(token=token)
        wrong = api.PullClientAppInputsRequest(token=token ^ 1)
        assert status_of(stub.GetToken, api.GetTokenRequest()) is PRECONDITION
        assert status_of(pull, wrong) is INVALID
        assert status_of(push, api.PushClientAppOutputsRequest(token=token)) is PRECONDITION

        # Pulled, twice: the same.
        inputs = pull(mine, timeout=10)
        assert pull(mine, timeout=10) == inputs
        assert inputs.run.run_id == judge.run_id and inputs.fab.hash_str == inputs.run.fab_hash
        context = serde.context_from_proto(inputs.context)
        assert context.node_config == {"partition-id": 5} and context.node_id == node_id
        assert context.run_config["untouched"] == "as it was"
        answer = pushed(token, inputs)
        other = pushed(token ^ 1, inputs)
        assert status_of(push, other) is INVALID

        # Pushed; a second push is refused.
        assert push(answer, timeout=10).status.code == 0
        assert status_of(push, answer) is PRECONDITION
        reply = judge.reply(message)
        assert (reply["code"], reply["bytes"]) == (0, 1000)
        worker.close()

        # The old token is worth nothing for the next message.
        message = judge.send(node_id, "echo")
        worker, token, _ = desk.worker()
        assert status_of(pull, mine) in (INVALID, PRECONDITION)
        assert token != mine.token
        worker.close()
        assert judge.reply(message)["code"] == 8


@pytest.mark.ours
def test_garbage(federation, desk):
    """Broken bytes, strange methods and strangers do no harm to the worker at work."""
    node = federation.start_node(options={"--clientappio-api-address": "127.0.0.1:0"})
    address = node.wait_log(r"worker API: address=(\S+)").group(1)
    federation.expect(r"worker API: ")
    judge = federation.judge()
    (node_id,) = judge.nodes(1)
    message = judge.send(node_id, "echo")
    worker, token, _ = desk.worker()
    with socket.create_connection(address.rsplit(":", 1)) as stranger:
        stranger.sendall(b"GET / HTTP/1.0\r\n\r\n")
        stranger.settimeout(30)
        try:
            while stranger.recv(4096):
                pass
        except ConnectionResetError:
            pass
    with grpc.insecure_channel(address) as channel:
        stub = ClientAppIoStub(channel)
        service = "/flwr.proto.ClientAppIo/"
        raw = channel.unary_unary(service + "PullClientAppInputs")
        assert status_of(raw, b"\xff" * 9) is INVALID
        raw = channel.unary_unary(service + "PushClientAppOutputs")
        assert status_of(raw, b"\x0a\xff\xff") in (INVALID, PRECONDITION)
        raw = channel.unary_unary(service + "NoSuchMethod")
        assert status_of(raw, b"") is grpc.StatusCode.UNIMPLEMENTED
        inputs = stub.PullClientAppInputs(api.PullClientAppInputsRequest(token=token), timeout=10)
        assert stub.PushClientAppOutputs(pushed(token, inputs), timeout=10).status.code == 0
    worker.close()
    assert judge.reply(message)["code"] == 0


@pytest.mark.ours
def test_worker_of_flower(federation, desk):
    """Python's flwr-clientapp does the work of one of our tokens."""
    node = federation.start_node(options={"--clientappio-api-address": "127.0.0.1:0"})
    address = node.wait_log(r"worker API: address=(\S+)").group(1)
    judge = federation.judge()
    (node_id,) = judge.nodes(1)
    for expected in (1, 2):
        message = judge.send(node_id, "count")
        worker, token, _ = desk.worker()
        argv = [federation.bin / "flwr-clientapp", "--insecure", "--token", token]
        argv += ["--clientappio-api-address", address]
        name = federation.name("flwr-clientapp")
        assert federation.start(name, argv, federation.environ(name)).wait(30) == 0
        worker.close()
        assert judge.reply(message)["metrics"]["counter"]["n"] == expected


@pytest.mark.ours
def test_private_socket(one_node):
    """Without an address: a unix socket that only the node's user can reach."""
    _, node, _, _ = one_node
    path = Path(node.find(r"worker API: address=unix:(\S+)").group(1))
    assert path.is_socket()
    assert path.parent.stat().st_mode & 0o077 == 0
    assert node.stop() == 0
    assert not path.exists()
