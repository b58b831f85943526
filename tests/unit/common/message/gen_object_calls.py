"""Calls about objects as a release of 1.20 or later writes them: lines "name hex" for
test_object_calls_codec.c."""

import hashlib
import random
import sys

from flwr.proto import message_pb2, node_pb2

NODE = 0x8000000000000001
RUN = 0xFFFFFFFFFFFFFFFE
rnd = random.Random(int(sys.argv[1]))


def out(name, message):
    print(name, message.SerializeToString(deterministic=True).hex())


def digest():
    return hashlib.sha256(rnd.randbytes(8)).hexdigest()


def node():
    return node_pb2.Node(node_id=rnd.choice([1, NODE]))


def data():
    return rnd.randbytes(rnd.choice([1, 300, 5000]))


for _ in range(40):
    out("request", message_pb2.PullObjectRequest(
        node=node(), run_id=rnd.choice([0, 1, RUN]), object_id=digest()))
    out("request", message_pb2.PullObjectRequest(run_id=RUN, object_id=digest()))
    out("request", message_pb2.PushObjectRequest(
        node=node(), run_id=RUN, object_id=digest(), object_content=data(),
        session_id=rnd.choice(["", digest()])))
    out("request", message_pb2.ConfirmMessageReceivedRequest(
        node=node(), run_id=RUN, message_object_id=digest()))
    out("pulled", message_pb2.PullObjectResponse(
        object_found=rnd.random() < 0.5, object_available=rnd.random() < 0.5,
        object_content=rnd.choice([b"", data()])))
    out("stored", message_pb2.PushObjectResponse(stored=rnd.random() < 0.5))

# What the tests look into.
out("one_request", message_pb2.PushObjectRequest(
    node=node_pb2.Node(node_id=NODE), run_id=RUN, object_id="0123456789abcdef" * 4,
    object_content=b"hello", session_id="session"))
out("one_pulled", message_pb2.PullObjectResponse(
    object_found=True, object_available=True, object_content=b"hello"))
for bad in ["", "0123", "0123456789abcdeF" * 4, "0123456789abcdeg" * 4, "0" * 65]:
    out("bad_id", message_pb2.PullObjectRequest(run_id=RUN, object_id=bad))
