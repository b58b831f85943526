"""Flower's messages as a release has them, in a process that runs on another release."""

import subprocess
import sys
from pathlib import Path

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

# Run by the release's own python: all that fleet.proto needs, what is needed first.
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
    """The environment of the newest release, beside the one that runs the tests; None: it is not
    there."""
    environment = Path(sys.prefix).parent / "flower-1.41.0"
    return environment if (environment / "bin/python").exists() else None


class Protos:
    """Message classes by name: protos.PullMessagesRequest"""

    def __init__(self, environment):
        command = [Path(environment) / "bin/python", "-c", DUMP]
        dumped = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
        self.pool = descriptor_pool.DescriptorPool()
        for file in descriptor_pb2.FileDescriptorSet.FromString(dumped).file:
            self.pool.Add(file)

    def __getattr__(self, name):
        found = self.pool.FindMessageTypeByName(f"flwr.proto.{name}")
        return message_factory.GetMessageClass(found)
