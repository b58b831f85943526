"""A stand-in for a SuperNode: one task, made of the newest release's messages and objects, which is
asked for as the releases from the one of the second argument on do (1.34 without it). Takes orders,
as the first argument; prints its address and, at the end of input, what was done as lines
"name value"."""

import concurrent.futures
import http.server
import sys
import threading

import grpc
import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from flwr.common.serde import message_from_proto, message_to_proto
from flwr.proto import fab_pb2, message_pb2, run_pb2, runtime_pb2
from flwr.supercore.inflatable.inflatable_object import (
    get_all_nested_objects, get_object_tree, iterate_object_tree)
from flwr.supercore.inflatable.inflatable_utils import inflate_object_from_contents
from flwr.supercore.task_identity import TaskIdentity
from google.protobuf.internal.decoder import _DecodeVarint

TOKEN = "0123456789abcdef" * 16
NODE, RUN = 11, 22
orders = set(sys.argv[1].split())
since = sys.argv[2] if len(sys.argv) > 2 else "1.34"
of_runs = since in ("1.20", "1.26")  # tokens are in requests
calls = {}
TaskIdentity.run_id, TaskIdentity.node_id, TaskIdentity.task_id = RUN, 1, 4


def instruction():
    big = np.arange(1_500_000, dtype=np.float64)
    content = RecordDict({
        "arrays": ArrayRecord([big, np.ones((2, 3), dtype=np.float32), big]),
        "metrics": MetricRecord({"n": 5, "list": [1.5, 2.5]}),
        "configs": ConfigRecord({"text": "äöü", "bytes": b"\0\1", "flag": True}),
    })
    message = Message(content=content, dst_node_id=NODE, message_type="train")
    message.metadata.__dict__["_message_id"] = message.object_id
    return message


message = instruction()
objects = {key: value.deflate() for key, value in get_all_nested_objects(message).items()}
tree = get_object_tree(message)
replies = {}
pushed = []
outputs = []


def expect_token(context):
    name = "flwr-app-token" if of_runs else "flwr-task-token"
    metadata = [value for key, value in context.invocation_metadata() if key == name]
    if metadata != [TOKEN]:
        context.abort(grpc.StatusCode.UNAUTHENTICATED, "the token is wrong")


def fields_of(body):
    """What a message has by number, each once: numbers, and bytes."""
    fields, at = {}, 0
    while at < len(body):
        key, at = _DecodeVarint(body, at)
        value, at = _DecodeVarint(body, at)
        if key & 7 == 2:
            value, at = body[at : at + value], at + value
        assert key >> 3 not in fields
        fields[key >> 3] = value
    return fields


def as_of_tasks(name, body):
    """A request that has its token in it, as those of tasks are, which have none."""
    fields = fields_of(body)
    assert fields.pop(1) == TOKEN.encode()
    if name in ("PullMessages", "PushMessages"):
        assert fields.pop(3) == RUN
    if name == "PullMessages":
        assert not fields
        return runtime_pb2.PullAppMessagesRequest()
    if name == "PushMessages":
        head = message_pb2.Message.FromString(fields.pop(2))
        its_tree = message_pb2.ObjectTree.FromString(fields.pop(4))
        assert not fields
        return runtime_pb2.PushAppMessagesRequest(
            messages_list=[head], message_object_trees=[its_tree])
    if name == "PushTaskOutput":
        assert fields.pop(2) == RUN
        its_context = message_pb2.Context.FromString(fields.pop(3))
        assert not fields
        return runtime_pb2.PushTaskOutputRequest(context=its_context)
    assert not fields and name in ("PullTaskInput", "SendTaskHeartbeat")
    return METHODS[name][1]()


def pull_task_input(request, context):
    return runtime_pb2.PullTaskInputResponse(
        context=message_pb2.Context(run_id=RUN, node_id=NODE, series_id=3),
        run=run_pb2.Run(run_id=RUN, fab_id="p/n", fab_hash="ab" * 32),
        fab=fab_pb2.Fab(hash_str="ab" * 32, content=b"fab"), task_id=4)


def pull_messages(request, context):
    head = message_to_proto(message)
    head.content.Clear()
    head.content.SetInParent()
    if "no-message" in orders:
        return runtime_pb2.PullAppMessagesResponse()
    return runtime_pb2.PullAppMessagesResponse(messages_list=[head], message_object_trees=[tree])


def pull_object(request, context):
    number = calls["PullObject"]
    if "wrong" in orders and number == 3:
        return message_pb2.PullObjectResponse(
            object_found=True, object_available=True, object_content=b"x")
    if "gone" in orders and number == 3:
        return message_pb2.PullObjectResponse()
    if "away" in orders and number in (2, 4):
        context.abort(grpc.StatusCode.UNAVAILABLE, "try again")
    if "later" in orders and number == 1:
        return message_pb2.PullObjectResponse(object_found=True)
    assert request.node.node_id == NODE and request.run_id == RUN
    content = objects[request.object_id]
    if "flipped" in orders and len(content) > 65536:
        content = content[:-1] + bytes([content[-1] ^ 1])
    return message_pb2.PullObjectResponse(
        object_found=True, object_available=True, object_content=content)


def confirm(request, context):
    assert request.message_object_id == tree.object_id
    return message_pb2.ConfirmMessageReceivedResponse()


def push_messages(request, context):
    assert len(request.messages_list) == 1 and len(request.message_object_trees) == 1
    pushed.append((request.messages_list[0], request.message_object_trees[0]))
    wanted = list(iterate_object_tree(request.message_object_trees[0]))
    ids = sorted({each.object_id for each in wanted})
    if "known" in orders:
        ids = ids[1:]
    return runtime_pb2.PushAppMessagesResponse(
        message_ids=[""], objects_to_push=ids, session_id="" if of_runs else "the session")


def push_object(request, context):
    assert request.session_id == ("" if of_runs else "the session")
    if "full" in orders:
        context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "no room")
    replies[request.object_id] = request.object_content
    return message_pb2.PushObjectResponse(stored="unstored" not in orders)


def push_task_output(request, context):
    outputs.append(request)
    return runtime_pb2.PushTaskOutputResponse()


def heartbeat(request, context):
    return runtime_pb2.SendTaskHeartbeatResponse(success="expired" not in orders)


METHODS = {
    "PullTaskInput": (pull_task_input, runtime_pb2.PullTaskInputRequest),
    "PullMessages": (pull_messages, runtime_pb2.PullAppMessagesRequest),
    "PullObject": (pull_object, message_pb2.PullObjectRequest),
    "ConfirmMessageReceived": (confirm, message_pb2.ConfirmMessageReceivedRequest),
    "PushMessages": (push_messages, runtime_pb2.PushAppMessagesRequest),
    "PushObject": (push_object, message_pb2.PushObjectRequest),
    "PushTaskOutput": (push_task_output, runtime_pb2.PushTaskOutputRequest),
    "SendTaskHeartbeat": (heartbeat, runtime_pb2.SendTaskHeartbeatRequest),
}


NAMES = {
    "1.20": {"PullTaskInput": "PullClientAppInputs", "PushTaskOutput": "PushClientAppOutputs"},
    "1.26": {"PullTaskInput": "PullAppInputs", "PushTaskOutput": "PushAppOutputs"},
}
for each in NAMES.values():
    each["SendTaskHeartbeat"] = "SendAppHeartbeat"
NAMES["1.30"] = {}
for each in NAMES.values():
    each.update({"PullMessages": "PullMessage", "PushMessages": "PushMessage"})
SERVICE = "Runtime" if since in ("1.34", "1.35") else "ClientAppIo"


def handle(name, body, context):
    expect_token(context)
    calls[name] = calls.get(name, 0) + 1
    function, request = METHODS[name]
    in_it = of_runs and "Object" not in name and name != "ConfirmMessageReceived"
    return function(as_of_tasks(name, body) if in_it else request.FromString(body), context)


def handler(name):
    return grpc.unary_unary_rpc_method_handler(
        lambda body, context: handle(name, body, context),
        response_serializer=lambda answer: answer.SerializeToString())


class Refusal(Exception):
    pass


class OverHttp(http.server.BaseHTTPRequestHandler):
    """Is the context of a call, too."""

    protocol_version = "HTTP/1.1"
    STATUS = {grpc.StatusCode.UNAUTHENTICATED: 401, grpc.StatusCode.UNAVAILABLE: 503,
              grpc.StatusCode.RESOURCE_EXHAUSTED: 413}

    def invocation_metadata(self):
        return [(key.lower(), value) for key, value in self.headers.items()]

    def abort(self, code, details):
        raise Refusal(self.STATUS[code], details)

    def answer(self, status, kind, body):
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.answer(200, "application/json", b'{"status":"ok"}')

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        words = self.path.removeprefix("/v1/runtime/").split("-")
        name = "".join(word.capitalize() for word in words)
        try:
            if name not in METHODS:
                raise Refusal(404, "Not Found")
            assert self.headers["content-type"] == "application/protobuf"
            answer = handle(name, body, self).SerializeToString()
            self.answer(200, "application/protobuf", answer)
        except Refusal as refusal:
            status, words = refusal.args
            code = 1008 if status == 401 else 0
            text = f'{{"code": {code}, "detail": "{words}"}}'.encode()
            self.answer(status, "application/json", text)

    def log_message(self, *_):
        pass


def tell():
    """What came: is it what Flower's own functions make of it?"""
    for name, number in sorted(calls.items()):
        print(name, number)
    for head, its_tree in pushed:
        print("tree", its_tree.object_id == head.metadata.message_id)
        print("content", head.HasField("content"), "error", head.HasField("error"))
    for output in outputs:
        print("sub_status", output.sub_status)
        print("details", output.details or "-")
        print("series", output.context.series_id)
    if not outputs or "known" in orders or pushed[-1][0].HasField("error"):
        return
    head, its_tree = pushed[-1]
    reply = inflate_object_from_contents(its_tree.object_id, dict(replies))
    print("id", reply.object_id == its_tree.object_id)
    print("reply_to", reply.metadata.reply_to_message_id == message.metadata.message_id)
    print("same_content", reply.content.object_id == message.content.object_id)
    print("same_values", all(
        (a == b).all() for a, b in zip(reply.content["arrays"].to_numpy_ndarrays(),
                                       message.content["arrays"].to_numpy_ndarrays())))


def serve_grpc():
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(8), options=[
        ("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)])
    names = NAMES.get(since, {})
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(
        f"flwr.proto.{SERVICE}", {names.get(name, name): handler(name) for name in METHODS}),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    return port, lambda: server.stop(0).wait()


def serve_http():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), OverHttp)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_port, server.shutdown


port, stop = serve_http() if since == "1.35" else serve_grpc()
print(f"address 127.0.0.1:{port}", flush=True)
sys.stdin.read()
stop()
tell()
