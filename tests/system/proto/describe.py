"""Prints what the flwr package that runs this has on the wire, and gRPC's health service if that is installed
beside it, as JSON:
{"messages": {name: {number: [name, type, label]}}, "enums": {name: {number: name}},
 "services": {name: {method: [request, response]}}, "routes": {path: request}}.

The name of a message or enum has the file's in front ("fleet.PingRequest"); a type is a protobuf type's name, a
message's or enum's name, or "map<key, value>"; label is "", "repeated" or "optional" (explicit presence). Routes are
the paths over HTTP; a request is a message's name without the file, "" where the package does not say it (REST).
"""

import importlib
import json
import pkgutil
import re
import sys
import warnings
from pathlib import Path

warnings.simplefilter("ignore")

import flwr.proto  # noqa: E402

try:
    from grpc_health.v1 import health_pb2
except ImportError:
    health_pb2 = None

TYPES = {1: "double", 2: "float", 3: "int64", 4: "uint64", 5: "int32", 8: "bool", 9: "string", 12: "bytes"}
TYPES |= {13: "uint32", 17: "sint32", 18: "sint64"}
ROUTE = r'\(\s*"POST",\s*"(/v1/[a-z/-]+)",?\s*\): (\w+)'
REST_PATH = r'"/?(api/v0/fleet/[a-z-]+)"'


def full_name(thing):
    return thing.file.name.rpartition("/")[2].removesuffix(".proto") + thing.full_name.removeprefix(thing.file.package)


def type_of(field):
    message = field.message_type
    if not message:
        return full_name(field.enum_type) if field.enum_type else TYPES[field.type]
    if message.GetOptions().map_entry:
        return f"map<{type_of(message.fields[0])}, {type_of(message.fields[1])}>"
    return full_name(message)


def label_of(field):
    if field.label == field.LABEL_REPEATED:
        return "" if type_of(field).startswith("map<") else "repeated"
    oneof = field.containing_oneof
    return "optional" if oneof and oneof.name == "_" + field.name else ""


def describe_enum(enum, said):
    said["enums"][full_name(enum)] = {value.number: value.name for value in enum.values}


def describe(message, said):
    if message.GetOptions().map_entry:
        return
    fields = {f.number: [f.name, type_of(f), label_of(f)] for f in message.fields}
    said["messages"][full_name(message)] = fields
    for enum in message.enum_types:
        describe_enum(enum, said)
    for nested in message.nested_types:
        describe(nested, said)


def files():
    for module in pkgutil.iter_modules(flwr.proto.__path__):
        if module.name.endswith("_pb2"):
            yield importlib.import_module(f"flwr.proto.{module.name}").DESCRIPTOR
    if health_pb2:
        yield health_pb2.DESCRIPTOR


def routes():
    """As the package's text has them: to load it would take what its servers need."""
    root = Path(flwr.proto.__path__[0]).parent
    found = {}
    translation = root / "supercore/protobuf/translation.py"
    if translation.exists():
        found |= dict(re.findall(ROUTE, translation.read_text()))
    rest = root / "client/rest_client/connection.py"
    if rest.exists():
        found |= {"/" + path: "" for path in re.findall(REST_PATH, rest.read_text())}
    return found


def main():
    said = {"messages": {}, "enums": {}, "services": {}, "routes": routes()}
    for file in files():
        for enum in file.enum_types_by_name.values():
            describe_enum(enum, said)
        for message in file.message_types_by_name.values():
            describe(message, said)
        for service in file.services_by_name.values():
            methods = {m.name: [full_name(m.input_type), full_name(m.output_type)] for m in service.methods}
            said["services"][service.full_name] = methods
    json.dump(said, sys.stdout)


main()
