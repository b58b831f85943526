"""Messages as objects and trees, as the newest package makes them, for test_real_objects.c.

For each message: its objects in Flower's order, each followed by its children's ids ("object",
"children"), then the ids of all in the order in which a SuperNode pulls them ("order"), then the
tree ("tree").
"""

import os
import random
import sys

os.environ["FLWR_PRIVATE_MAX_ARRAY_CHUNK_SIZE"] = "1000"

import numpy as np  # noqa: E402
from flwr.app import (  # noqa: E402
    Array,
    ArrayRecord,
    ConfigRecord,
    Error,
    MetricRecord,
    RecordDict,
)
from flwr.app.message.message import make_message  # noqa: E402
from flwr.app.metadata import Metadata  # noqa: E402
from flwr.supercore.inflatable.inflatable_object import (  # noqa: E402
    get_all_nested_objects,
    get_object_tree,
    iterate_object_tree,
)

rnd = random.Random(int(sys.argv[1]))
shared = np.arange(600, dtype=np.float32)


def array():
    kind = rnd.randrange(4)
    if kind == 0:
        return Array(shared)
    if kind == 1:
        return Array(np.zeros(rnd.randrange(1, 2000)))  # chunks that are alike
    if kind == 2:
        return Array(dtype="", shape=(), stype="", data=rnd.randbytes(rnd.randrange(3000)))
    return Array(np.frombuffer(rnd.randbytes(8 * rnd.randrange(1, 300)), dtype=np.uint8))


def record():
    kind = rnd.randrange(4)
    if kind == 0:
        return MetricRecord({"loss": rnd.random(), "n": [1, 2, 3]})
    if kind == 1:
        return ConfigRecord({"a\u00e4\U0001f338": "b", "bytes": rnd.randbytes(20)})
    if kind == 2:
        return ConfigRecord({})
    return ArrayRecord({f"layer {i}": array() for i in range(rnd.randrange(5))})


def message():
    metadata = Metadata(
        run_id=rnd.randrange(2**64),
        message_id="",
        src_node_id=1,
        dst_node_id=rnd.randrange(2**64),
        reply_to_message_id="",
        group_id="",
        created_at=1.7e9 + rnd.random(),
        ttl=3600.0,
        message_type="train",
    )
    if rnd.randrange(5) == 0:
        return make_message(metadata, error=Error(code=8, reason="gone"))
    content = RecordDict({f"record {i}": record() for i in range(rnd.randrange(6))})
    return make_message(metadata, content=content)


def ids(texts):
    return "".join(texts)


for _ in range(40):
    root = message()
    tree = get_object_tree(root)
    for made in get_all_nested_objects(root).values():
        print("object", made.deflate().hex())
        print("children", ids((made.children or {}).keys()))
    print("order", ids(dict.fromkeys(t.object_id for t in iterate_object_tree(tree))))
    print("tree", tree.SerializeToString().hex())
