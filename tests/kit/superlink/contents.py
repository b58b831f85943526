"""Contents of few bytes that stand for many, and contents without an end: parcels by hand."""

import hashlib
import json

from federation.superlink.parcel import Parcel, metadata

from ..wire import field
from .parcels import children_of


def object_of(type, children, body):
    """(id, bytes)"""
    content = f"{type} {','.join(children)} {len(body)}".encode() + b"\0" + body
    return hashlib.sha256(content).hexdigest(), content


def tree_of(protos, id, objects):
    children = [tree_of(protos, each, objects) for each in children_of(objects[id])]
    return protos.ObjectTree(object_id=id, children=children)


def parcel_of(link, records, objects):
    """A message with these records (name -> id of an object), of these objects (id -> bytes)."""
    ids = sorted(set(records.values()))
    dict_id, dict_bytes = object_of("RecordDict", ids, json.dumps(records).encode())
    message = link.protos.Message(metadata=metadata(link.protos, link.node_id, message_id=""))
    id, content = object_of("Message", [dict_id], message.metadata.SerializeToString())
    message.metadata.message_id = id
    message.content.SetInParent()
    objects = {**objects, dict_id: dict_bytes, id: content}
    return Parcel(id, message, tree_of(link.protos, id, objects), objects)


def one_record_of_many_names(link, names, bytes):
    """Each name stands for all bytes of one value."""
    record = link.protos.ConfigRecord()
    record.items.add(key="v").value.bytes = b"\0" * bytes
    id, content = object_of("ConfigRecord", [], record.SerializeToString())
    return parcel_of(link, {f"r{number}": id for number in range(names)}, {id: content})


def array_record(arrays, objects):
    """(id, objects with it); arrays: name -> [shape, ids of chunks, of which each number is one]"""
    ids = {}
    for name, (shape, chunks, numbers) in arrays.items():
        body = {"dtype": "uint8", "shape": shape, "stype": "numpy.ndarray"}
        body["arraychunk_ids"] = numbers
        ids[name], content = object_of("Array", chunks, json.dumps(body).encode())
        objects = {**objects, ids[name]: content}
    body = json.dumps(ids).encode()
    id, content = object_of("ArrayRecord", sorted(set(ids.values())), body)
    return id, {**objects, id: content}


def one_chunk_of_many_uses(link, uses, bytes):
    """An array that is the same piece again and again."""
    chunk, content = object_of("ArrayChunk", [], b"\1" * bytes)
    array = [[uses, bytes], [chunk], [0] * uses]
    id, objects = array_record({"a": array}, {chunk: content})
    return parcel_of(link, {"arrays": id}, objects)


def many_chunks(link, n, bytes):
    """An array of that many different pieces."""
    made = [
        object_of("ArrayChunk", [], number.to_bytes(4, "big") + b"\0" * (bytes - 4))
        for number in range(n)
    ]
    array = [[n, bytes], [id for id, _ in made], list(range(n))]
    id, objects = array_record({"a": array}, dict(made))
    return parcel_of(link, {"arrays": id}, objects)


def in_pieces(link, bytes):
    """A message whose content comes one byte a field: its parcel, and what PullMessages answers."""
    parcel = link.make()
    link.parcels[parcel.id] = parcel
    message, pulled = link.protos.Message, link.protos.PullMessagesResponse
    its = message(metadata=parcel.message.metadata).SerializeToString()
    content = field(message, "content", b"\x0a") * (bytes // 3)
    return parcel, field(pulled, "messages_list", its + content)
