"""Are these objects what they should be? On standard input, for each RecordDict: lines "object hex", then "dict hex":
the newest release makes its RecordDict of the objects, the last of which is the root, and compares (as bytes of its
own: nan is not equal to itself, and it keeps no kinds of int)."""

import sys

from flwr.common.serde import recorddict_from_proto, recorddict_to_proto
from flwr.proto.recorddict_pb2 import RecordDict

try:
    from flwr.supercore.inflatable import inflatable_object, inflatable_utils
except ImportError:  # to 1.26
    from flwr.common import inflatable as inflatable_object, inflatable_utils

objects = {}
for line in sys.stdin:
    name, _, data = line.strip().partition(" ")
    content = bytes.fromhex(data)
    if name == "object":
        inflatable_utils.validate_object_content(content)
        root = inflatable_object.get_object_id(content)
        objects[root] = content
        continue
    records = inflatable_utils.inflate_object_from_contents(root, objects, keep_object_contents=True)
    expected = recorddict_from_proto(RecordDict.FromString(content))
    assert recorddict_to_proto(records).SerializeToString() == recorddict_to_proto(expected).SerializeToString()
    objects = {}
