"""Run by the python of a release with objects: a line in asks for a message, a line out has it."""

import base64
import json
import sys

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, RecordDict
from flwr.common.serde import message_from_proto
from flwr.proto.message_pb2 import Message as ProtoMessage
from flwr.supercore.inflatable.inflatable_object import get_all_nested_objects, get_object_tree


def encode(bytes):
    return base64.b64encode(bytes).decode()


def make(order):
    records = RecordDict({"do": ConfigRecord({"number": order["number"]})})
    if order["bytes"]:
        records["bulk"] = ArrayRecord({"array": Array(np.arange(order["bytes"], dtype=np.uint8))})
    bare = ProtoMessage()
    bare.metadata.ParseFromString(base64.b64decode(order["metadata"]))
    bare.content.SetInParent()
    message = message_from_proto(bare)
    message.content = records
    id = message.object_id
    objects = {each: object.deflate() for each, object in get_all_nested_objects(message).items()}
    bare.metadata.message_id = id
    return {
        "id": id,
        "message": encode(bare.SerializeToString()),
        "tree": encode(get_object_tree(message).SerializeToString()),
        "objects": {each: encode(content) for each, content in objects.items()},
    }


for line in sys.stdin:
    print(json.dumps(make(json.loads(line))), flush=True)
