"""Records as a release with objects (1.20 and later) writes them: lines "name hex" for test_items_codec.c and
test_objects_codec.c.

dict: a RecordDict as proto (R2). chunk: the size of an array's pieces (decimal). object: each of its objects, in the
order of get_all_nested_objects(). tree: the ObjectTree. Then, with the same RecordDict as its state: context.
"""

import logging
import os
import random
import sys

rnd = random.Random(int(sys.argv[1]))
chunk = rnd.choice([1, 7, 61, 64, 1000, 5242880])
os.environ["FLWR_PRIVATE_MAX_ARRAY_CHUNK_SIZE"] = str(chunk)

import numpy as np  # noqa: E402
from flwr.common import (  # noqa: E402
    Array, ArrayRecord, ConfigRecord, Context, MetricRecord, RecordDict,
)
from flwr.common import constant  # noqa: E402
from flwr.common.serde import context_to_proto, recorddict_from_proto, recorddict_to_proto  # noqa: E402
from flwr.proto import recorddict_pb2 as pb  # noqa: E402

try:
    from flwr.supercore.inflatable import inflatable_object, inflatable_utils  # noqa: E402
except ImportError:  # to 1.26
    from flwr.common import inflatable as inflatable_object, inflatable_utils  # noqa: E402

chunk = getattr(constant, "FLWR_PRIVATE_MAX_ARRAY_CHUNK_SIZE", 20971520)  # to 1.22 it cannot be chosen
logging.getLogger("flwr").setLevel(logging.ERROR)
INTS = [0, 1, -1, 2**63 - 1, -(2**63), 2**63, 2**64 - 1, 300]
DOUBLES = [0.0, -0.0, float("nan"), float("inf"), float("-inf"), 5e-324, 0.1]
LETTERS = "ab .-_/\"\\'\b\t\n\f\r\x01\x1f\x7f\x80ÄŐ日本\u2028\ud7ff\ue000\uffff\U00010000\U0001f338\U0010ffff"


def out(name, data):
    print(name, data.hex())


def text(limit=10):
    return "".join(rnd.choice(LETTERS) for _ in range(rnd.randrange(limit)))


def array():
    kind = rnd.randrange(6)
    if kind == 0:
        shape = [rnd.randrange(4) for _ in range(rnd.randrange(4))]
        dtype = rnd.choice([np.float32, np.float64, np.int8, np.uint64, np.bool_])
        return Array(np.asarray(np.random.rand(*shape), dtype=dtype, order=rnd.choice("CF")))
    if kind == 1:  # the same pieces again and again
        return Array(np.zeros(rnd.randrange(400), dtype=np.int64))
    if kind == 2:
        return Array("", (), "numpy.ndarray", rnd.randbytes(300))
    if kind == 3:
        return Array(text(), (2**31 - 1, -(2**31), -1, 0), text(), b"")
    if kind == 4:  # pieces that come back
        parts = [rnd.randbytes(chunk) if chunk < 5000 else b"x" for _ in range(2)]
        return Array("uint8", (1,), "raw", b"".join(rnd.choice(parts) for _ in range(9)) + b"end")
    return Array("uint8", (5000,), "raw", rnd.randbytes(rnd.choice([0, chunk % 5000, 2 * chunk % 5000, 5000])))


def metric():
    return rnd.choice([
        lambda: rnd.choice(INTS), lambda: rnd.choice(DOUBLES), lambda: [],
        lambda: [rnd.choice(INTS[:5]) for _ in range(rnd.randrange(300))],
        lambda: [rnd.choice([0, 2**64 - 1]) for _ in range(rnd.randrange(300))],
        lambda: [rnd.choice(DOUBLES) for _ in range(rnd.randrange(300))],
    ])()


def config():
    return rnd.choice([
        metric, lambda: rnd.random() < 0.5, lambda: text() + "\0" + text(),
        lambda: rnd.randbytes(30), lambda: rnd.randbytes(3000),
        lambda: [rnd.random() < 0.5 for _ in range(rnd.randrange(20))],
        lambda: [text() for _ in range(rnd.randrange(20))],
        lambda: [rnd.randbytes(rnd.randrange(20)) for _ in range(rnd.randrange(20))],
    ])()


def some(make, most=5):
    made = {}
    for _ in range(rnd.randrange(most)):
        # the same value under several names, now and then
        again = made and rnd.random() < 0.2
        made[text()] = rnd.choice(list(made.values())) if again else make()
    return made


def record():
    return rnd.choice([
        lambda: ArrayRecord(some(array)), lambda: MetricRecord(some(metric)), lambda: ConfigRecord(some(config)),
    ])()


def write(records):
    proto = recorddict_to_proto(records)
    out("dict", proto.SerializeToString())
    out("chunk", str(chunk).encode())
    objects = {name: thing.deflate() for name, thing in inflatable_object.get_all_nested_objects(records).items()}
    for content in objects.values():
        out("object", content)
    out("tree", inflatable_object.get_object_tree(records).SerializeToString())
    back = inflatable_utils.inflate_object_from_contents(records.object_id, objects)
    assert recorddict_to_proto(back).SerializeToString() == proto.SerializeToString()
    context = Context(run_id=1, node_id=2, node_config={"a": 1}, state=records, run_config={"b": "c"})
    out("context", context_to_proto(context).SerializeToString())


write(RecordDict())
write(RecordDict({"": ArrayRecord({"": Array("", (), "", b"")}), "m": MetricRecord({"": 0}), "c": ConfigRecord()}))
for _ in range(60):
    write(RecordDict(some(record)))

# Kinds that Python's int does not keep, lists without elements, items twice: only as proto.
value = pb.ConfigRecordValue
item = pb.ConfigRecord.Item
kinds = [
    value(uint64=5), value(sint64=5), value(uint_list=pb.UintList(vals=[1, 2])), value(double_list=pb.DoubleList()),
    value(sint_list=pb.SintList()), value(uint_list=pb.UintList()), value(bool_list=pb.BoolList()),
    value(string_list=pb.StringList()), value(bytes_list=pb.BytesList()),
]
record = pb.ConfigRecord(items=[item(key=str(i), value=kind) for i, kind in enumerate(kinds)])
out("same", pb.RecordDict(items=[pb.RecordDict.Item(key="k", config_record=record)]).SerializeToString())


def twice():
    """Items of equal keys, as bytes, and what Python makes of them."""
    items = [pb.ConfigRecord.Item(key=rnd.choice("ab"), value=value(sint64=i)) for i in range(4)]
    arrays = [pb.ArrayRecord.Item(key=rnd.choice("ab"), value=pb.Array(dtype=str(i))) for i in range(4)]
    made = pb.RecordDict(items=[
        pb.RecordDict.Item(key=rnd.choice("xyz"), config_record=pb.ConfigRecord(items=items)),
        pb.RecordDict.Item(key=rnd.choice("xyz"), array_record=pb.ArrayRecord(items=arrays)),
        pb.RecordDict.Item(key=rnd.choice("xyz"), metric_record=pb.MetricRecord()),
    ])
    # An item in two pieces, and a oneof that is set twice: protobuf merges the first and takes the last.
    first = made.items[0].SerializeToString() + rnd.choice([b"", b"\x12\x00", b"\x1a\x00", b"\x22\x00"])
    rest = pb.RecordDict(items=made.items[1:]).SerializeToString()
    return b"\x0a" + bytes([len(first)]) + first + rest


for _ in range(30):
    data = twice()
    out("twice", data)
    out("once", recorddict_to_proto(recorddict_from_proto(pb.RecordDict.FromString(data))).SerializeToString())
