"""The python of a release with objects runs it: each line in asks for a message, which a line out has."""

import base64
import json
import sys

import numpy as np
from federation.superlink.parcel import make
from flwr.app import Array, ArrayRecord
from flwr.proto.message_pb2 import Metadata


def encode(bytes):
    return base64.b64encode(bytes).decode()


for line in sys.stdin:
    order = json.loads(line)
    arrays = None
    if order["bytes"]:
        arrays = ArrayRecord({"array": Array(np.arange(order["bytes"], dtype=np.uint8))})
    its = Metadata.FromString(base64.b64decode(order["metadata"]))
    parcel = make(its, {"number": order["number"]}, arrays)
    made = {
        "id": parcel.id,
        "message": encode(parcel.message.SerializeToString()),
        "tree": encode(parcel.tree.SerializeToString()),
        "objects": {id: encode(content) for id, content in parcel.objects.items()},
    }
    print(json.dumps(made), flush=True)
