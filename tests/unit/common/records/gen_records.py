"""Record sets as the real package writes them: lines "name hex" for test_maps_codec.c."""

import random
import struct
import sys

import numpy as np
from flwr.common import (
    Array, ConfigsRecord, MetricsRecord, ParametersRecord, RecordSet, array_from_numpy,
)
from flwr.common.serde import recordset_to_proto
from flwr.proto import recordset_pb2 as pb

rnd = random.Random(int(sys.argv[1]))
INTS = [0, 1, -1, 2**63 - 1, -(2**63), 2**63, 2**64 - 1, 300]
DOUBLES = [0.0, -0.0, float("nan"), float("inf"), float("-inf"), 5e-324, 0.1]


def out(name, data):
    print(name, data.hex())


def text(limit=10):
    alphabet = "ab .-_ÄŐ日本語\U0001f338"
    return "".join(rnd.choice(alphabet) for _ in range(rnd.randrange(limit)))


def array():
    kind = rnd.randrange(4)
    if kind == 0:
        shape = [rnd.randrange(4) for _ in range(rnd.randrange(4))]
        return array_from_numpy(np.asarray(np.random.rand(*shape), dtype=np.float32))
    if kind == 1:
        return Array(dtype="", shape=[], stype="numpy.ndarray", data=rnd.randbytes(300))
    if kind == 2:
        return Array(dtype=text(), shape=[2**31 - 1, -(2**31), -1, 0], stype=text(), data=b"")
    return Array(dtype="uint8", shape=[5000], stype="raw", data=rnd.randbytes(5000))


def metric():
    make = rnd.choice([
        lambda: rnd.choice(INTS), lambda: rnd.choice(DOUBLES),
        lambda: [rnd.choice(INTS[:5]) for _ in range(rnd.randrange(300))],
        lambda: [rnd.choice([0, 2**64 - 1]) for _ in range(rnd.randrange(300))],
        lambda: [rnd.choice(DOUBLES) for _ in range(rnd.randrange(300))],
    ])
    return make()


def config():
    make = rnd.choice([
        metric, lambda: rnd.random() < 0.5, lambda: text() + "\0" + text(),
        lambda: rnd.randbytes(30),
        lambda: [rnd.random() < 0.5 for _ in range(rnd.randrange(20))],
        lambda: [text() for _ in range(rnd.randrange(20))],
        lambda: [rnd.randbytes(rnd.randrange(20)) for _ in range(rnd.randrange(20))],
    ])
    return make()


def some(make, most=5):
    return {text() + str(i): make() for i in range(rnd.randrange(most))}


def record_set():
    return RecordSet(
        some(lambda: ParametersRecord(some(array))), some(lambda: MetricsRecord(some(metric))),
        some(lambda: ConfigsRecord(some(config))),
    )


for _ in range(80):
    out("records", recordset_to_proto(record_set()).SerializeToString())

# Kinds that Python's int does not keep.
value = pb.ConfigsRecordValue
data = {
    "a": value(uint64=5), "b": value(sint64=5), "c": value(uint_list=pb.UintList(vals=[1, 2])),
    "d": value(double_list=pb.DoubleList()), "e": value(sint_list=pb.SintList()),
    "f": value(uint_list=pb.UintList()), "g": value(bool_list=pb.BoolList()),
    "h": value(string_list=pb.StringList()), "i": value(bytes_list=pb.BytesList()),
}
out("records", pb.RecordSet(configs={"kinds": pb.ConfigsRecord(data=data)}).SerializeToString())


# The same lists, not packed and then packed.
def field(number, payload):
    return bytes([number << 3 | 2, len(payload)]) + payload


def entry(payload):
    return field(1, b"k") + field(2, payload)


def in_config(number, payload):
    list_value = bytes([number << 3 & 0x7F | 0x82, number >> 4, len(payload)]) + payload
    return field(3, entry(field(1, entry(list_value))))


for number, plain, packed in [
    (21, b"\x09" + struct.pack("<d", 1.5) + b"\x09" + struct.pack("<d", -2.0),
     field(1, struct.pack("<2d", 1.5, -2.0))),
    (22, b"\x08\x01\x08\x80\x01", field(1, b"\x01\x80\x01")),
    (23, b"\x08\x01\x0a\x02\x02\x03\x08\x04", field(1, b"\x01\x02\x03\x04")),
    (24, b"\x08\x01\x08\x00", field(1, b"\x01\x00")),
]:
    for form in (plain, packed):
        pb.RecordSet.FromString(in_config(number, form))
    assert pb.RecordSet.FromString(in_config(number, plain)) == pb.RecordSet.FromString(
        in_config(number, packed))
    out("unpacked", in_config(number, plain))
    out("packed", in_config(number, packed))
plain = field(1, entry(field(1, b"w") + field(2, b"\x10\x03\x10\x04")))
packed = field(1, entry(field(1, b"w") + field(2, field(2, b"\x03\x04"))))
assert pb.RecordSet.FromString(plain) == pb.RecordSet.FromString(packed)
out("unpacked", plain)
out("packed", packed)
