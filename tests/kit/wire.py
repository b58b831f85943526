"""Protobuf's wire format by hand: no library would write it."""

from google.protobuf.internal.encoder import TagBytes, _VarintBytes
from google.protobuf.internal.wire_format import WIRETYPE_LENGTH_DELIMITED

UNKNOWN = 15  # a field that no message has


def number_of(type, name):
    return type.DESCRIPTOR.fields_by_name[name].number


def start_of(number, length):
    """What comes before bytes, a string or a message."""
    return TagBytes(number, WIRETYPE_LENGTH_DELIMITED) + _VarintBytes(length)


def field(type, name, content):
    """A field of a message of this type, whatever its content is."""
    return start_of(number_of(type, name), len(content)) + content


def nested(number, depth=10000, own=lambda level: b""):
    """A field of this number that has its like in it, and so on; by far too deep to be read by
    recursion. own(level): what else is in each of them, 0 for the innermost."""
    pieces, size = [], 0
    for level in range(depth):
        pieces.append(own(level) + (start_of(number, size) if level else b""))
        size += len(pieces[-1])
    return b"".join(reversed(pieces))
