"""Messages to hand out, with all that belongs to them. The functions of the release that runs now make
them: the oldest's by plain_content(), those with objects by make()."""

import time
import uuid
from dataclasses import dataclass, field

RUN_ID = 7
SUPERLINK_NODE_ID = 1


@dataclass
class Parcel:
    """A message, and in dialects B and C its objects."""

    id: str
    message: object  # as it is in messages_list
    tree: object = None  # ObjectTree
    objects: dict = field(default_factory=dict)  # id -> bytes
    content: object = None  # an app that gives back what it gets replies with this: see content_of()
    confirmed: bool = False
    pulled: float = 0.0  # when it was handed out, by time.time()


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


def plain_content(order, arrays=None):
    """The records of dialect A; arrays: name -> Array"""
    from flwr.common import ConfigsRecord, ParametersRecord, RecordSet
    from flwr.common.serde import recordset_to_proto

    records = RecordSet(configs_records={"do": ConfigsRecord(order)})
    if arrays:
        records.parameters_records["bulk"] = ParametersRecord(arrays, keep_input=True)
    return recordset_to_proto(records)


def make_plain(its, content):
    """A message of dialect A, whose content is in it; its: the metadata."""
    from flwr.proto.message_pb2 import Message

    message = Message(metadata=its, content=content)
    return Parcel(its.message_id, message, content=message.content)


def make(its, order, arrays=None, known=()):
    """A message of dialect B or C with an order; arrays: an ArrayRecord. See make_of()."""
    from flwr.app import ConfigRecord, RecordDict

    records = RecordDict({"do": ConfigRecord(order)})
    if arrays is not None:
        records["bulk"] = arrays
    return make_of(its, records, known)


def make_of(its, records, known=()):
    """A message of dialect B or C, by the python of such a release. Objects whose ids are known are left
    out."""
    from flwr.common.serde import message_from_proto
    from flwr.proto.message_pb2 import Message
    from flwr.supercore.inflatable.inflatable_object import (
        get_all_nested_objects,
        get_object_tree,
        no_object_id_recompute,
    )

    bare = Message(metadata=its)
    bare.content.SetInParent()
    message = message_from_proto(bare)
    message.content = records
    with no_object_id_recompute():
        tree = get_object_tree(message)
        nested = get_all_nested_objects(message)
        objects = {id: each.deflate() for id, each in nested.items() if id not in known}
    bare.metadata.message_id = tree.object_id
    return Parcel(tree.object_id, bare, tree, objects)


def ids_of(tree):
    """All of a tree, children first, each once."""
    found = {}
    for child in tree.children:
        found.update(dict.fromkeys(ids_of(child)))
    found[tree.object_id] = None
    return list(found)
