"""Replies in the app form, as the bridge writes them: lines "name hex" for test_app_host_peer.c."""

import os
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[4]
sys.dont_write_bytecode = True
sys.path.insert(0, str(ROOT / "clientapp/run/bridge"))
import flower  # noqa: E402
import form  # noqa: E402

flower.load()
from flwr.common import (  # noqa: E402
    Array, ConfigsRecord, MetricsRecord, ParametersRecord, RecordSet,
)


def out(name, writer):
    fd = os.memfd_create(name, os.MFD_ALLOW_SEALING)
    size = writer.write(fd)
    print(name, os.pread(fd, size, 0).hex())


arrays = {"a": Array("f4", [2, 1], "numpy.ndarray", b"12345678"), "b": Array("", [], "", b"x" * 70)}
values = {
    "d": 0.5, "i": -1, "u": 2**64 - 1, "o": True, "s": "ü\0", "b": b"\0", "ds": [0.5], "is": [1],
    "us": [2**63], "os": [True, False], "ss": ["", "a"], "bs": [b"", b"b"], "e": [],
}
records = RecordSet(
    {"arrays": ParametersRecord(arrays)}, {"metrics": MetricsRecord({"m": 1, "n": [0.5]})},
    {"configs": ConfigsRecord(values)},
)
values = {"run_id": 1, "node_id": 2, "series_id": 0, "node_config": {"a": 1, "b": "ü"},
          "run_config": {"c": 0.5, "d": True, "": ""}}


class Task:
    context = flower.make_context(values, records)
    run_config = values["run_config"]
    kinds = form.Kinds()


message = flower.make_message(
    {"run_id": 1, "message_id": "", "src_node_id": 1, "dst_node_id": 2, "reply_to_message": "i",
     "group_id": "g", "ttl": 5.0, "message_type": "train", "created_at": 5.0}, records)
out("reply", form.reply(flower, message, Task))
out("failure", form.failure(None, 2, "why", "short"))
