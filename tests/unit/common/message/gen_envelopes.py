"""Envelopes and requests as the real package writes them: lines "name hex" for test_envelope.c."""

import random
import sys

from flwr.proto import clientappio_pb2, error_pb2, fab_pb2, fleet_pb2, message_pb2, run_pb2
from flwr.proto import recordset_pb2, transport_pb2
from flwr.proto.node_pb2 import Node

NODE = 0x8000000000000001
RUN = 0xFFFFFFFFFFFFFFFE
rnd = random.Random(int(sys.argv[1]))


def out(name, message):
    print(name, message.SerializeToString().hex())


def text(limit=12):
    alphabet = "abc xyz.-_ÄŐ日本語\U0001f338\n"
    return "".join(rnd.choice(alphabet) for _ in range(rnd.randrange(limit)))


def scalar():
    kind = rnd.randrange(6)
    make = transport_pb2.Scalar
    if kind == 0:
        values = [0.0, -0.0, 1.5, float("nan"), float("inf"), float("-inf"), 5e-324, 1.7e308]
        return make(double=rnd.choice(values))
    if kind == 1:
        return make(sint64=rnd.choice([0, 1, -1, 2**63 - 1, -(2**63), 12345]))
    if kind == 2:
        return make(uint64=rnd.choice([0, 1, 2**64 - 1, 2**63]))
    if kind == 3:
        return make(bool=rnd.random() < 0.5)
    if kind == 4:
        return make(string=text() + rnd.choice(["", "\0", "a\0b"]))
    return make(bytes=rnd.randbytes(rnd.randrange(40)))


def config():
    return {text() or str(i): scalar() for i in range(rnd.randrange(8))}


def records():
    config_record = recordset_pb2.ConfigsRecord(
        data={text(): recordset_pb2.ConfigsRecordValue(bytes=rnd.randbytes(rnd.randrange(900)))}
    )
    return recordset_pb2.RecordSet(configs={text(): config_record} if rnd.random() < 0.8 else {})


def metadata():
    return message_pb2.Metadata(
        run_id=rnd.choice([0, 1, RUN]),
        message_id=text(40),
        src_node_id=rnd.choice([0, 1, NODE]),
        dst_node_id=rnd.choice([0, 1, NODE]),
        reply_to_message=text(40),
        group_id=text(),
        ttl=rnd.choice([0.0, 3600.0, float("inf"), float("nan"), -1.0]),
        message_type=rnd.choice(["train", "evaluate", "query", "train.custom", ""]),
        created_at=rnd.choice([0.0, 1.7e9 + rnd.random()]),
    )


def message():
    kind = rnd.randrange(5)
    made = message_pb2.Message(metadata=metadata())
    if kind < 2:
        made.content.CopyFrom(records())
    elif kind == 2:
        made.content.SetInParent()
    elif kind == 3:
        code = rnd.choice([0, 1, 2, 8, -1, 2**63 - 1, -(2**63)])
        made.error.CopyFrom(error_pb2.Error(code=code, reason=text(200)))
    return made


def run():
    return run_pb2.Run(
        run_id=rnd.choice([0, 7, RUN]), fab_id="pub/" + text(), fab_version="1.0.0",
        fab_hash="ab" * 32, override_config=config(),
    )


def context():
    return message_pb2.Context(
        run_id=RUN, node_id=NODE, node_config=config(), state=records(), run_config=config()
    )


def fab(smallest=0):
    size = rnd.choice([smallest, 1, 300, 5000])
    return fab_pb2.Fab(hash_str=text(), content=rnd.randbytes(size))


for _ in range(60):
    out("message", message())
    out("run", run())
    out("context", context())
    out("fab", fab())
    out("inputs", clientappio_pb2.PullClientAppInputsResponse(
        message=message(), context=context(), run=run(), fab=fab(1)))
    out("outputs", clientappio_pb2.PushClientAppOutputsRequest(
        token=rnd.choice([0, 1, 2**64 - 1]), message=message(), context=context()))
    out("pull_messages", fleet_pb2.PullMessagesResponse(
        reconnect=fleet_pb2.Reconnect(reconnect=5), messages_list=[message()]))
    out("get_run", run_pb2.GetRunResponse(run=run()))
    out("get_fab", fab_pb2.GetFabResponse(fab=fab()))
    code = rnd.randrange(3)
    status = clientappio_pb2.ClientAppOutputStatus(code=code, message=text())
    out("status", clientappio_pb2.PushClientAppOutputsResponse(status=status))

# What the test encodes itself, with the same constants.
node = Node(node_id=NODE)
out("req_create_node", fleet_pb2.CreateNodeRequest(ping_interval=30.0))
out("req_delete_node", fleet_pb2.DeleteNodeRequest(node=node))
out("req_ping", fleet_pb2.PingRequest(node=node, ping_interval=30.0))
out("req_pull_messages", fleet_pb2.PullMessagesRequest(node=node))
out("req_get_run", run_pb2.GetRunRequest(node=node, run_id=RUN))
out("req_get_fab", fab_pb2.GetFabRequest(node=node, hash_str="abc", run_id=RUN))
reply = message_pb2.Message(
    metadata=message_pb2.Metadata(
        run_id=RUN, src_node_id=NODE, reply_to_message="id", ttl=10.0, message_type="train",
        created_at=1001.0),
    error=error_pb2.Error(code=8, reason="gone"))
out("req_push_messages", fleet_pb2.PushMessagesRequest(node=node, messages_list=[reply]))
out("token", clientappio_pb2.GetTokenResponse(token=NODE))
out("create_node", fleet_pb2.CreateNodeResponse(node=node))
out("ping_true", fleet_pb2.PingResponse(success=True))
out("ping_false", fleet_pb2.PingResponse(success=False))
out("pull_empty", fleet_pb2.PullMessagesResponse(reconnect=fleet_pb2.Reconnect(reconnect=5)))
out("pull_two", fleet_pb2.PullMessagesResponse(messages_list=[message(), message()]))
out("push_stored", fleet_pb2.PushMessagesResponse(results={"some id": 0}))
out("push_dropped", fleet_pb2.PushMessagesResponse(results={"None": 0}))
