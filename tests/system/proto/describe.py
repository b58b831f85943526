"""Prints the messages and services of the flwr package that runs this, as JSON:
{"messages": {name: {number: [name, type, label]}}, "services": {name: {method: [request, response]}}}.

A message's name has the file's in front ("fleet.PingRequest"); a type is a protobuf type's name, "enum",
a message's name, or "map<key, value>"; label is "", "repeated" or "optional" (explicit presence).
"""

import importlib
import json
import pkgutil
import sys
import warnings

warnings.simplefilter("ignore")

import flwr.proto  # noqa: E402

TYPES = {1: "double", 2: "float", 3: "int64", 4: "uint64", 5: "int32", 8: "bool", 9: "string", 12: "bytes"}
TYPES |= {13: "uint32", 14: "enum", 17: "sint32", 18: "sint64"}


def full_name(message):
    return message.file.name.rpartition("/")[2].removesuffix(".proto") + message.full_name.removeprefix("flwr.proto")


def type_of(field):
    message = field.message_type
    if not message:
        return TYPES[field.type]
    if message.GetOptions().map_entry:
        return f"map<{type_of(message.fields[0])}, {type_of(message.fields[1])}>"
    return full_name(message)


def label_of(field):
    if field.label == field.LABEL_REPEATED:
        return "" if type_of(field).startswith("map<") else "repeated"
    oneof = field.containing_oneof
    return "optional" if oneof and oneof.name == "_" + field.name else ""


def describe(message, messages):
    if message.GetOptions().map_entry:
        return
    fields = {f.number: [f.name, type_of(f), label_of(f)] for f in message.fields}
    messages[full_name(message)] = fields
    for nested in message.nested_types:
        describe(nested, messages)


def main():
    messages, services = {}, {}
    for module in pkgutil.iter_modules(flwr.proto.__path__):
        if not module.name.endswith("_pb2"):
            continue
        file = importlib.import_module(f"flwr.proto.{module.name}").DESCRIPTOR
        for message in file.message_types_by_name.values():
            describe(message, messages)
        for service in file.services_by_name.values():
            methods = {m.name: [full_name(m.input_type), full_name(m.output_type)] for m in service.methods}
            services[service.full_name] = methods
    json.dump({"messages": messages, "services": services}, sys.stdout)


main()
