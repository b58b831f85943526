"""proto/ beside the Flower packages: each number, type, name, enum and path is the package's own, and our programs'
reader and writer give back what the packages have written. gRPC's health service is compared with its package, where a
release's environment has that."""

import functools
import json
import os
import random
import re
import subprocess
import tempfile
from pathlib import Path

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PYTHON = ROOT / "build/python"
RELEASES = {
    "1.15.2": PYTHON / "flower-1.15.2",
    "1.26.1": PYTHON / "releases/1.26.1",
    "1.34.0": PYTHON / "releases/1.34.0",
    "1.39.0": PYTHON / "releases/1.39.0",
    "1.41.0": PYTHON / "flower-1.41.0",
}
FIELD = descriptor_pb2.FieldDescriptorProto
TYPES = {number: name.removeprefix("TYPE_").lower() for name, number in FIELD.Type.items()}
HEALTH = "grpc.health.v1"
# Where supernode/link/over_http.c has the methods of a service, and where workers have theirs.
PREFIXES = {"flwr.proto.Fleet": ("/v1/fleet/", "/api/v0/fleet/"), "flwr.proto.Runtime": ("/v1/runtime/",)}
# Over HTTP there is no service in the package; the messages are.
HTTP_FILES = ("runtime", "message", "log", "run")
# What proto/ hands on unread.
PARTS = ("Message", "Context", "Run", "Fab", "ObjectTree", "RecordSet", "RecordDict")


def minor(release):
    return int(release.split(".")[1])


def within(release, span):
    """Is a release in a span: "1.30-", "-1.18", "1.20-1.22", "" (all)?"""
    first, _, last = span.partition("-")
    return (not first or minor(first) <= minor(release)) and (not last or minor(release) <= minor(last))


class Proto:
    """The files of proto/, as protoc reads them."""

    def __init__(self, descriptors):
        files = descriptor_pb2.FileDescriptorSet.FromString(descriptors)
        pool = descriptor_pool.Default()
        for name in ("protobuf-c/protobuf-c.proto", "wire.proto"):
            file = next(file for file in files.file if file.name == name)
            pool.AddSerializedFile(file.SerializeToString())
        self.extensions = pool.FindFileByName("wire.proto").extensions_by_name
        # Read again, now that the options are known.
        files = descriptor_pb2.FileDescriptorSet.FromString(descriptors)
        self.messages, self.enums, self.services = {}, {}, []
        for file in files.file:
            if file.package not in ("flwr", HEALTH):
                continue
            self.add_enums(file.enum_type, f".{file.package}.")
            for message in file.message_type:
                self.add(message, f".{file.package}.")
            self.services += file.service

    def add(self, message, prefix):
        self.messages[prefix + message.name] = message
        self.add_enums(message.enum_type, prefix + message.name + ".")
        for nested in message.nested_type:
            self.add(nested, prefix + message.name + ".")

    def add_enums(self, enums, prefix):
        for enum in enums:
            self.enums[prefix + enum.name] = {str(value.number): value.name for value in enum.value}

    def name(self, service):
        """On the wire."""
        return self.option(service, "service") or f"{HEALTH}.{service.name}"

    def names(self, message):
        """What a message is called in the packages, without the file."""
        names = self.option(self.messages[message], "message")
        return names.split(", ") if names else [message.removeprefix(".flwr.").removeprefix(f".{HEALTH}.")]

    def option(self, element, name):
        return element.options.Extensions[self.extensions[name]]


class Comparison:
    """One release's package beside proto/."""

    def __init__(self, proto, release, package):
        self.proto = proto
        self.release = release
        self.package = package
        self.seen = set()
        self.enums_seen = set()
        self.routes_seen = set()
        self.faults = []

    def fault(self, text):
        self.faults.append(f"{self.release}: {text}")

    def name_of(self, field):
        for former in filter(None, self.proto.option(field, "formerly").split(", ")):
            name, span = former.split(" ")
            if within(self.release, span):
                return name
        return field.name

    def message(self, ours, theirs):
        """ours: our message's full name; theirs: the package's."""
        if (ours, theirs) in self.seen:
            return
        self.seen.add((ours, theirs))
        message = self.proto.messages[ours]
        if theirs.partition(".")[2] not in self.proto.names(ours):
            self.fault(f"{ours} has the place of {theirs}")
        fields = {int(number): field for number, field in self.package["messages"][theirs].items()}
        for field in message.field:
            if not within(self.release, self.proto.option(field, "releases")):
                continue
            if field.number not in fields:
                self.only_ours(ours, theirs, field)
                continue
            self.field(ours, field, *fields.pop(field.number))
        for number, (name, _, _) in fields.items():
            if name not in [field.name for field in message.field if field.number == number]:
                self.fault(f"{ours} lacks {name} = {number} of {theirs}")

    def only_ours(self, ours, theirs, field):
        # A metric has the numbers of a configuration's values, no others.
        if "Metric" not in theirs:
            self.fault(f"{theirs} lacks {field.name} = {field.number} of {ours}")

    def field(self, ours, field, name, type_, label):
        place = f"{ours}.{field.name}"
        if self.name_of(field) != name:
            self.fault(f"{place} is called {name}")
        stand_in = self.proto.option(field, "is")
        if stand_in == "map":
            self.entries(place, field, type_)
            return
        repeated = "repeated" if field.label == FIELD.LABEL_REPEATED else ""
        if label == "optional":
            oneof = field.HasField("oneof_index")
            if not oneof:
                self.fault(f"{place} is optional")
        elif repeated != label and not (stand_in and repeated and TYPES[field.type] == "bytes"):
            self.fault(f"{place} is {repeated or 'single'}, there {label or 'single'}")
        if stand_in:
            if type_ != stand_in and not type_.endswith("." + stand_in) and not (
                stand_in == "RecordDict" and type_ == "recordset.RecordSet"
            ):
                self.fault(f"{place} stands for {stand_in}, there {type_}")
        elif field.type == FIELD.TYPE_MESSAGE:
            self.message(field.type_name, type_)
        elif field.type == FIELD.TYPE_ENUM:
            self.enum(place, field.type_name, type_)
        elif TYPES[field.type] != type_:
            self.fault(f"{place} is {TYPES[field.type]}, there {type_}")

    def enum(self, place, ours, theirs):
        self.enums_seen.add(ours)
        values = self.package["enums"].get(theirs)
        if not ours.endswith("." + theirs.rpartition(".")[2]):
            self.fault(f"{place} is {ours}, there {theirs}")
        elif self.proto.enums[ours] != values:
            self.fault(f"{ours} is {self.proto.enums[ours]}, there {values}")

    def entries(self, place, field, type_):
        entry = {f.number: f for f in self.proto.messages[field.type_name].field}
        key, value = re.fullmatch(r"map<(\S+), (\S+)>", type_).groups()
        if TYPES[entry[1].type] != key:
            self.fault(f"{place} has the keys {key}")
        if entry[2].type == FIELD.TYPE_MESSAGE:
            self.message(entry[2].type_name, value)
        elif TYPES[entry[2].type] != value:
            self.fault(f"{place} has the values {value}")

    def service(self, service):
        name = self.proto.name(service)
        theirs = self.package["services"].get(name)
        found = 0
        for method in service.method:
            if not within(self.release, self.proto.option(method, "method_releases")):
                continue
            if theirs is not None and method.name not in theirs:
                self.fault(f"{name} has no {method.name}")
                continue
            found += 1
            pair = theirs[method.name] if theirs is not None else [None, None]
            for ours, there in zip((method.input_type, method.output_type), pair):
                self.message(ours, there or self.without_service(ours))
            self.route(name, method)
        return found

    def route(self, service, method):
        """Is the method at the path that set_path() in supernode/link/over_http.c makes of its name?"""
        end = re.sub(r"(?<!^)([A-Z])", r"-\1", method.name).lower()
        for prefix in PREFIXES.get(service, ()):
            if not any(path.startswith(prefix) for path in self.package["routes"]):
                continue
            request = self.package["routes"].get(prefix + end)
            self.routes_seen.add(prefix + end)
            if request is None:
                self.fault(f"there is no path {prefix + end}")
            elif request and request not in self.proto.names(method.input_type):
                self.fault(f"{prefix + end} takes {request}")

    def without_service(self, ours):
        short = ours.rpartition(".")[2]
        return next(f"{file}.{short}" for file in HTTP_FILES if f"{file}.{short}" in self.package["messages"])


@pytest.fixture(scope="module")
def proto():
    """As protoc reads the files: /usr/include has protobuf's own and protobuf-c's."""
    texts = sorted(path.name for path in (ROOT / "proto").glob("*.proto"))
    with tempfile.NamedTemporaryFile() as file:
        argv = ["protoc", "-I.", "-I/usr/include", "--include_imports", "-o", file.name, *texts]
        subprocess.run(argv, cwd=ROOT / "proto", check=True)
        return Proto(Path(file.name).read_bytes())


@functools.cache
def describe(release):
    python = RELEASES[release] / "bin/python"
    if not python.exists():
        pytest.skip(f"Flower {release} is not installed: scripts/setup --all-releases")
    said = subprocess.run([python, "-B", HERE / "proto/describe.py"], capture_output=True, check=True)
    return json.loads(said.stdout)


def compare(proto, release):
    """(the comparison of all that this release has, how many methods that were)."""
    comparison = Comparison(proto, release, describe(release))
    methods = 0
    for service in proto.services:
        if proto.name(service).startswith(HEALTH) and proto.name(service) not in comparison.package["services"]:
            continue
        if within(release, proto.option(service, "service_releases")):
            methods += comparison.service(service)
    for part in (".flwr." + part for part in PARTS):
        if not within(release, proto.option(proto.messages[part], "message_releases")):
            continue
        for theirs in comparison.package["messages"]:
            if theirs.partition(".")[2] in proto.names(part):
                comparison.message(part, theirs)
    return comparison, methods


@pytest.mark.parametrize("release", RELEASES)
def test_the_package_has_what_proto_says(proto, release):
    comparison, methods = compare(proto, release)
    assert comparison.faults == []
    assert methods > 10
    assert len(comparison.routes_seen) > 5


def test_every_message_and_enum_is_compared(proto):
    compared = [compare(proto, release)[0] for release in RELEASES]
    seen = {ours for comparison in compared for ours, _ in comparison.seen}
    assert {enum for comparison in compared for enum in comparison.enums_seen} == set(proto.enums)
    entries = {name for name in proto.messages if name.endswith("Entry")}
    assert set(proto.messages) - seen - entries == {
        ".flwr.GetRunIdsWithPendingMessagesRequest",  # 1.20 only
        ".flwr.GetRunIdsWithPendingMessagesResponse",
    }


@pytest.mark.parametrize("release", RELEASES)
def test_random_messages_come_back_as_they_were(proto, release):
    """Decoded and encoded by what the programs are made of; with FLWR_SEED as another time."""
    seed = int(os.environ.get("FLWR_SEED") or random.randrange(1 << 32))
    print(f"FLWR_SEED={seed}")
    pairs = sorted(compare(proto, release)[0].seen)
    program = Path(os.environ["FLWR_BIN_DIR"]).parent / "tests/wire-echo"
    argv = [RELEASES[release] / "bin/python", "-B", HERE / "proto/random_messages.py", program, str(seed), "40"]
    done = subprocess.run(argv, input=json.dumps(pairs), capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("", 0), done.stderr
    assert len(pairs) > 20
