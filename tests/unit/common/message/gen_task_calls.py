"""Calls about tasks as the newest release writes them: lines "name hex" for test_task_codec.c."""

import hashlib
import random
import sys

from flwr.proto import fab_pb2, message_pb2, run_pb2, runtime_pb2, task_pb2
from flwr.proto.node_pb2 import Node

RUN = 0xFFFFFFFFFFFFFFFE
rnd = random.Random(int(sys.argv[1]))


def out(name, message):
    print(name, message.SerializeToString(deterministic=True).hex())


def digest():
    return hashlib.sha256(rnd.randbytes(8)).hexdigest()


def tree(depth=3):
    children = [tree(depth - 1) for _ in range(rnd.randrange(3))] if depth else []
    return message_pb2.ObjectTree(object_id=digest(), children=children)


def message():
    made = message_pb2.Message(metadata=message_pb2.Metadata(
        run_id=RUN, message_id=digest(), src_node_id=1, dst_node_id=2, ttl=5.5, src_task_id=7,
        message_type="train"))
    made.content.SetInParent()
    return made


def run():
    return run_pb2.Run(run_id=RUN, fab_id="pub/app", fab_hash="ab" * 32, series_id=9,
                       primary_task_type="flwr-serverapp")


def context():
    return message_pb2.Context(run_id=RUN, node_id=5, series_id=9)


def task(kind):
    return task_pb2.Task(task_id=rnd.choice([1, RUN]), type=kind, run_id=RUN,
                         status=task_pb2.TaskStatus(status="pending"), pending_at="2026-01-01")


def wrapped(name, tasks):
    """PullPendingTasksResponse, which the newest release has no more."""
    print(name, b"".join(
        b"\x0a" + bytes([len(t.SerializeToString())]) + t.SerializeToString()
        for t in tasks).hex())


for _ in range(30):
    out("input", runtime_pb2.PullTaskInputResponse(
        context=context(), run=run(), task_id=rnd.choice([0, 1, RUN]),
        fab=rnd.choice([None, fab_pb2.Fab(hash_str="ab" * 32, content=rnd.randbytes(2000))])))
    out("pulled", runtime_pb2.PullAppMessagesResponse(
        messages_list=[message()], message_object_trees=[tree()]))
    out("push", runtime_pb2.PushAppMessagesRequest(
        messages_list=[message()], message_object_trees=[tree()]))
    out("pushed", runtime_pb2.PushAppMessagesResponse(
        message_ids=[digest()], objects_to_push=[digest() for _ in range(rnd.randrange(40))],
        session_id=rnd.choice(["", digest()])))
    out("output", runtime_pb2.PushTaskOutputRequest(
        context=rnd.choice([None, context()]), sub_status=rnd.choice(["", "completed"]),
        details=rnd.choice(["", "it failed: äöü"]),
        clientapp_runtime=rnd.choice([None, 0.0, 1.25])))
    out("heartbeat", runtime_pb2.SendTaskHeartbeatResponse(success=rnd.random() < 0.5))
    out("get_run", run_pb2.GetRunRequest(node=Node(node_id=3), run_id=RUN))

wrapped("pending_none", [])
wrapped("pending_other", [task("flwr-agentapp"), task("")])
wrapped("pending_one", [task("flwr-agentapp"), task_pb2.Task(
    task_id=RUN, type="flwr-clientapp", run_id=5), task("flwr-clientapp")])
out("ours_pending", task_pb2.Task(task_id=RUN, type="flwr-clientapp", run_id=5))
out("pulled_none", runtime_pb2.PullAppMessagesResponse())
out("pulled_two", runtime_pb2.PullAppMessagesResponse(
    messages_list=[message(), message()], message_object_trees=[tree()]))
out("get_run_response", run_pb2.GetRunResponse(run=run_pb2.Run(run_id=5, fab_hash="abc")))
