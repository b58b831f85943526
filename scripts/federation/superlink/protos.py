"""Flower's messages as a release has them, also in a process that runs on another release."""

import subprocess
import sys
from functools import cache
from pathlib import Path

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

# A release's own python runs it: it writes all files that fleet.proto needs, those that others need first.
DUMP = """
import sys
from google.protobuf import descriptor_pb2
from flwr.proto import fleet_pb2, run_pb2, fab_pb2, message_pb2
files, seen = descriptor_pb2.FileDescriptorSet(), set()
def add(file):
    if file.name not in seen:
        seen.add(file.name)
        for each in file.dependencies:
            add(each)
        file.CopyToProto(files.file.add())
for module in (fleet_pb2, run_pb2, fab_pb2, message_pb2):
    add(module.DESCRIPTOR)
sys.stdout.buffer.write(files.SerializeToString())
"""


def newest():
    """The environment of the newest release, beside the one that runs now; None: it is not there."""
    environment = Path(sys.prefix).parent / "flower-1.41.0"
    return environment if (environment / "bin/python").exists() else None


class Protos:
    """Message classes by name: protos.PullMessagesRequest"""

    def __init__(self, pool):
        self.pool = pool

    def __getattr__(self, name):
        found = self.pool.FindMessageTypeByName(f"flwr.proto.{name}")
        return message_factory.GetMessageClass(found)


@cache
def own():
    """Those of the release that runs now."""
    from flwr.proto import fab_pb2, fleet_pb2, message_pb2, run_pb2  # noqa: F401

    return Protos(descriptor_pool.Default())


@cache
def protos_of(environment):
    command = [Path(environment) / "bin/python", "-c", DUMP]
    dumped = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(dumped).file:
        pool.Add(file)
    return Protos(pool)
