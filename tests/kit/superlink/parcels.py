"""Good messages to hand out, with an array of so many bytes, and what their replies must be."""

import base64
import json
import os
import subprocess
import uuid
from pathlib import Path

import federation
import numpy as np
from federation.superlink.parcel import Parcel, make_plain, metadata, plain_content
from federation.superlink.protos import own, protos_of
from flwr.common import array_from_numpy


class PlainMaker:
    """Makes messages of dialect A."""

    def make(self, node_id, bytes=0, **other):
        array = array_from_numpy(np.arange(bytes, dtype=np.uint8))
        content = plain_content({"number": uuid.uuid4().hex}, {"array": array} if bytes else None)
        return make_plain(metadata(own(), node_id, **other), content)

    def close(self):
        pass


class ObjectMaker:
    """Makes messages of dialects B and C: a helper in the release's own environment has message, tree and
    objects."""

    def __init__(self, environment):
        self.protos = protos_of(environment)
        script = Path(__file__).parent / "make_objects.py"
        self.helper = subprocess.Popen(
            [Path(environment) / "bin/python", script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(Path(federation.__file__).parents[1])},
        )

    def make(self, node_id, bytes=0, **other):
        its = metadata(self.protos, node_id, message_id="", **other)
        order = {"metadata": base64.b64encode(its.SerializeToString()).decode(), "bytes": bytes}
        order["number"] = uuid.uuid4().hex
        self.helper.stdin.write(json.dumps(order).encode() + b"\n")
        self.helper.stdin.flush()
        made = json.loads(self.helper.stdout.readline())
        message = self.protos.Message.FromString(base64.b64decode(made["message"]))
        tree = self.protos.ObjectTree.FromString(base64.b64decode(made["tree"]))
        objects = {id: base64.b64decode(content) for id, content in made["objects"].items()}
        return Parcel(made["id"], message, tree, objects, records_of(tree, objects))

    def close(self):
        self.helper.stdin.close()
        self.helper.wait(10)
        self.helper.stdout.close()


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
