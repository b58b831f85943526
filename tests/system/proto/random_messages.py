"""Sends random messages of the flwr package that runs this through tests/kit/wire_echo.c and compares what comes back.

    random_messages.py PROGRAM SEED ROUNDS    with [[our name, the package's], ...] as JSON on stdin

Prints what differs, nothing else. A message's name in the package has the file's in front.
"""

import importlib
import json
import pkgutil
import random
import struct
import subprocess
import sys
import warnings

warnings.simplefilter("ignore")

import flwr.proto  # noqa: E402

try:
    from grpc_health.v1 import health_pb2
except ImportError:
    health_pb2 = None

INTS = {3: (-(1 << 63), 1 << 63), 4: (0, 1 << 64), 5: (-(1 << 31), 1 << 31), 13: (0, 1 << 32)}
INTS |= {17: (-(1 << 31), 1 << 31), 18: (-(1 << 63), 1 << 63)}
TEXTS = ["", "a", "é", "数", "x" * 300, "flwr-clientapp", "\U0001f600", "0" * 64]
DEPTH = 4


def messages():
    """Of the whole package, by name."""
    found = {}

    def add(message):
        file = message.file.name.rpartition("/")[2].removesuffix(".proto")
        found[file + message.full_name.removeprefix(message.file.package)] = message
        for nested in message.nested_types:
            add(nested)

    names = [module.name for module in pkgutil.iter_modules(flwr.proto.__path__) if module.name.endswith("_pb2")]
    modules = [importlib.import_module(f"flwr.proto.{name}") for name in names]
    for module in modules + [health_pb2] * (health_pb2 is not None):
        for message in module.DESCRIPTOR.message_types_by_name.values():
            add(message)
    return found


class Maker:
    def __init__(self, seed):
        self.random = random.Random(seed)

    def value(self, field):
        kind = field.type
        if kind in INTS:
            low, high = INTS[kind]
            return self.random.choice([0, 1, low, high - 1, self.random.randrange(low, high)])
        if kind in (1, 2):  # a float that both types hold
            return self.random.choice([0.0, -0.0, 0.5, -1.25, 2.0**60, float("inf")])
        if kind == 8:
            return self.random.random() < 0.5
        if kind == 9:
            return self.random.choice(TEXTS)
        if kind == 12:
            return self.random.randbytes(self.random.choice([0, 1, 20, 300, 5000]))
        if kind == 14:
            return self.random.choice(field.enum_type.values).number
        raise TypeError(kind)

    def fill(self, message, depth=0):
        for field in message.DESCRIPTOR.fields:
            if self.random.random() < 0.3:
                continue
            entry = field.message_type and field.message_type.GetOptions().map_entry
            if entry:
                self.fill_map(getattr(message, field.name), field.message_type, depth)
            elif field.label == field.LABEL_REPEATED:
                for _ in range(self.random.randrange(4) if depth < DEPTH else 0):
                    if field.message_type:
                        self.fill(getattr(message, field.name).add(), depth + 1)
                    else:
                        getattr(message, field.name).append(self.value(field))
            elif not field.message_type:
                setattr(message, field.name, self.value(field))
            elif depth < DEPTH:
                getattr(message, field.name).SetInParent()
                self.fill(getattr(message, field.name), depth + 1)

    def fill_map(self, to, entry, depth):
        key, value = entry.fields
        for _ in range(self.random.randrange(4) if depth < DEPTH else 0):
            if value.message_type:
                self.fill(to[self.value(key)], depth + 1)
            else:
                to[self.value(key)] = self.value(value)


def main():
    program, seed, rounds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    pairs = json.load(sys.stdin)
    maker, package = Maker(seed), messages()
    with subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as echo:
        for ours, theirs in pairs:
            for _ in range(rounds):
                message = package[theirs]._concrete_class()
                maker.fill(message)
                name, data = ours.lstrip(".").encode(), message.SerializeToString(deterministic=True)
                echo.stdin.write(struct.pack("<II", len(name), len(data)) + name + data)
                echo.stdin.flush()
                result, size = struct.unpack("<iI", echo.stdout.read(8))
                back = echo.stdout.read(size)
                if result:
                    print(f"{ours}: refused with {result}: {data.hex()}")
                elif back != data:
                    print(f"{ours}: {data.hex()} came back as {back.hex()}")
        echo.stdin.close()


main()
