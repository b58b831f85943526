"""Messages to hand out, made by Flower's own functions, with all that belongs to them."""

import base64
import hashlib
import json
import subprocess
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from flwr.common import ConfigsRecord, ParametersRecord, RecordSet, array_from_numpy
from flwr.common.serde import recordset_to_proto

RUN_ID = 7
SUPERLINK_NODE_ID = 1
OBJECT_TYPES = {
    "Message", "RecordDict", "ArrayRecord", "Array", "ArrayChunk", "MetricRecord", "ConfigRecord"
}  # fmt: skip


@dataclass
class Parcel:
    """A message, and in dialects B and C its objects."""

    id: str
    message: object  # as it is in messages_list
    tree: object = None  # ObjectTree
    objects: dict = field(default_factory=dict)  # id -> bytes
    content: object = None  # what an app that gives back what it gets must reply: see content_of()
    confirmed: bool = False


def metadata(protos, node_id, **other):
    fields = {
        "run_id": RUN_ID,
        "message_id": str(uuid.uuid4()),
        "src_node_id": SUPERLINK_NODE_ID,
        "dst_node_id": node_id,
        "group_id": "1",
        "ttl": 3600.0,
        "message_type": "query",
        "created_at": time.time(),
    }
    return protos.Metadata(**{**fields, **other})


class PlainMaker:
    """Dialect A: the content is in the message."""

    def __init__(self, protos):
        self.protos = protos

    def make(self, node_id, bytes=0, **other):
        records = RecordSet(configs_records={"do": ConfigsRecord({"number": uuid.uuid4().hex})})
        if bytes:
            array = array_from_numpy(np.arange(bytes, dtype=np.uint8))
            records.parameters_records["bulk"] = ParametersRecord({"array": array})
        content = recordset_to_proto(records).SerializeToString()
        its = metadata(self.protos, node_id, **other)
        message = self.protos.Message(metadata=its)
        message.content.ParseFromString(content)
        return Parcel(its.message_id, message, content=message.content)

    def close(self):
        pass


class ObjectMaker:
    """Dialects B and C: a helper in the release's own environment makes message, tree, objects."""

    def __init__(self, protos, environment):
        self.protos = protos
        script = Path(__file__).parent / "make_objects.py"
        self.helper = subprocess.Popen(
            [Path(environment) / "bin/python", script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def make(self, node_id, bytes=0, **other):
        its = metadata(self.protos, node_id, message_id="", **other)
        order = {"metadata": encode(its.SerializeToString()), "bytes": bytes}
        order["number"] = uuid.uuid4().hex
        self.helper.stdin.write(json.dumps(order).encode() + b"\n")
        self.helper.stdin.flush()
        made = json.loads(self.helper.stdout.readline())
        message = self.protos.Message.FromString(decode(made["message"]))
        tree = self.protos.ObjectTree.FromString(decode(made["tree"]))
        objects = {id: decode(content) for id, content in made["objects"].items()}
        parcel = Parcel(made["id"], message, tree, objects)
        parcel.content = records_of(tree, objects)
        return parcel

    def close(self):
        self.helper.stdin.close()
        self.helper.wait(10)
        self.helper.stdout.close()


def encode(bytes):
    return base64.b64encode(bytes).decode()


def decode(text):
    return base64.b64decode(text)


def ids_of(tree):
    """All of a tree, children first, each once."""
    found = {}
    for child in tree.children:
        found.update(dict.fromkeys(ids_of(child)))
    found[tree.object_id] = None
    return list(found)


def check_object(id, content):
    """What is wrong with an object, or None."""
    if hashlib.sha256(content).hexdigest() != id:
        return f"its hash is not {id}"
    head, divider, body = content.partition(b"\0")
    parts = head.decode(errors="replace").split(" ")
    if not divider or len(parts) != 3:
        return f"the head {head[:80]!r} has not three parts"
    if parts[0] not in OBJECT_TYPES:
        return f"it is a {parts[0]}"
    if not parts[2].isdigit() or int(parts[2]) != len(body):
        return f"it has {len(body)} bytes, the head says {parts[2]}"
    for child in parts[1].split(",") if parts[1] else ():
        if len(child) != 64 or set(child) - set("0123456789abcdef"):
            return f"{child!r} is no id"
    return None


def children_of(content):
    ids = content.partition(b"\0")[0].decode().split(" ")[1]
    return ids.split(",") if ids else []


def records_of(tree, objects):
    """The records of a message: name -> object id. Their order is the app's Flower's business."""
    (records,) = children_of(objects[tree.object_id])
    body = objects[records].partition(b"\0")[2]
    return json.loads(body)


def content_of(reply):
    """To compare with a Parcel's content: dialect A's records, else the ids of the records."""
    return reply.message.content if reply.tree is None else records_of(reply.tree, reply.objects)
