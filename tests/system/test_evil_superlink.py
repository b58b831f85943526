"""A SuperLink that lies, stalls and breaks off. Whatever it does: the node lives, goes on
asking, answers once what can be answered, stays small, and serves the next good message."""

import math
import os
import re
from contextlib import contextmanager
from pathlib import Path

import pytest
from flwr.proto.fab_pb2 import Fab, GetFabResponse
from flwr.proto.fleet_pb2 import PullMessagesResponse
from flwr.proto.message_pb2 import Message, Metadata
from flwr.proto.run_pb2 import GetRunResponse, Run
from kit.superlink.evil import PROTOCOLS, EvilSuperLink
from kit.superlink.parcels import content_of
from kit.superlink.steps import (
    after,
    changed_message,
    contain,
    deep_tree,
    edit,
    fake_id,
    honest,
    misname,
    never,
    raw,
    refuse,
    wide_tree,
    wire,
    with_tree,
)
from kit.wire import UNKNOWN, field, nested, number_of, start_of

from federation.processes import free_ports, wait_until
from federation.superlink.grpc_link import CODES
from federation.superlink.link import METHODS, reply_to
from federation.superlink.protos import newest, protos_of

pytestmark = pytest.mark.ours

MIB = 1 << 20
SMALL = 24  # MiB that a node may have grown by when it is over
LARGEST = 512  # MiB of an answer
LARGEST_FAB = 64  # MiB
SETTINGS = {"--poll-max": 0.1}
large = pytest.mark.skipif(not os.environ.get("FLWR_TEST_LARGE"), reason="takes a gigabyte")

# What speaks to the node; with objects over gRPC only where it is about objects. FLWR_EVIL names
# others instead: "B-grpc,C-grpc"
SPOKEN = [("A", "grpc"), ("A", "rest"), ("C", "adapter"), ("C", "http")]
OBJECTS = [("C", "http"), ("C", "rest"), ("C", "adapter"), ("C", "grpc")]
if os.environ.get("FLWR_EVIL"):
    SPOKEN = [tuple(each.split("-")) for each in os.environ["FLWR_EVIL"].split(",")]
    OBJECTS = [each for each in SPOKEN if each[0] != "A"]

# ---- what our log says ----
FAILED = r"SuperLink .*: \w+ failed: .*; trying again in"
LOST = r"SuperLink .*: a message of \d+ bytes could not be read and is lost"
TOO_LARGE = r"SuperLink .*: a message is lost: the message is larger than the \d+ bytes that"
TOO_MANY = r"SuperLink .*: sent \d+ more messages at once than a node takes; they are lost"
FORGOTTEN = r"SuperLink .*: has forgotten node \d+ .*; registering again"
MESSAGE_FAILED = r"message failed: .* code={}: "
RUN_CODES = {"GetRun": 8, "GetFab": 7}
DROPPED = r"message dropped: "
REFUSED = r"FAB refused: "
REPLY_LOST = r"reply lost: "
REPLY_REFUSED = r"reply (too large for|not understood by) the SuperLink, an error is sent instead"
UNREAD = r"the answer to a reply could not be read; taken as delivered"
RECONNECT = r"a malformed reconnect message was refused"


def sanitized():
    """Memory is not measured then: AddressSanitizer keeps what is freed for a while."""
    program = Path(os.environ.get("FLWR_BIN_DIR", ""), "flower-supernode")
    return program.exists() and b"libasan" in program.read_bytes()


SANITIZED = sanitized()


def memory(node, name):
    with open(f"/proc/{node.pid}/status", encoding="utf-8") as status:
        found = re.search(rf"^{name}:\s+(\d+)", status.read(), re.MULTILINE)
        return int(found.group(1)) / 1024


class Scene:
    """A node of ours at an evil SuperLink."""

    def __init__(self, federation, dialect, transport, options):
        self.federation = federation
        self.dialect = dialect
        self.link = EvilSuperLink(dialect, transport)
        self.node = federation.start_node(
            options={**SETTINGS, **options}, superlink=self.link.address, wait=False
        )

    def serves(self, bytes=0):
        """A good message is answered with what it brought, once."""
        parcel = self.link.send(bytes=bytes)
        self.good(parcel)
        self.delivered(parcel)  # else a node that is stopped now waits for its reply to be fetched

    def delivered(self, parcel):
        """The node knows that the reply is there: it does not push it any more."""
        sent = rf"reply sent: .* message_id={re.escape(parcel.id)}"
        wait_until(lambda: self.node.find(sent), "the node knows that its reply is there")

    def good(self, parcel, seconds=30):
        reply = self.link.wait_reply(parcel.id, seconds)
        assert not reply.message.HasField("error"), reply.message.error
        assert content_of(reply) == parcel.content

    def fails(self, parcel, code, says="", seconds=30):
        """It is answered with one error reply."""
        reply = self.link.wait_reply(parcel.id, seconds)
        assert reply.message.HasField("error"), reply.message
        assert reply.message.error.code == code, reply.message.error
        assert re.search(says, reply.message.error.reason), reply.message.error
        its, asked = reply.message.metadata, parcel.message.metadata
        assert (its.run_id, its.group_id) == (asked.run_id, asked.group_id)
        assert its.dst_node_id == asked.src_node_id

    def close(self):
        self.link.close()


@contextmanager
def scene(federation, dialect, transport, *expected, options=None, room=SMALL):
    """A good message before and after; what happens in between leaves no trace but the log lines
    that are expected, each at least once. room: MiB that the node may have grown by."""
    at = Scene(federation, dialect, transport, options or {})
    try:
        at.link.wait_online()
        at.serves()
        size = memory(at.node, "VmRSS")
        federation.expect(*expected)
        yield at
        at.serves()
        for pattern in expected:
            wait_until(lambda pattern=pattern: at.node.find(pattern), f"{pattern} in the log")
        assert not at.link.wrong
        ids = [reply_to(each.message) for each in at.link.replies if not each.missing]
        assert len(ids) == len(set(ids)), "a message was answered twice"
        if not SANITIZED:
            # What gRPC has freed goes back to the system a few seconds later.
            wait_until(lambda: memory(at.node, "VmRSS") < size + room, "the node is as small as it was")
        assert at.node.stop() == 0
    finally:
        at.close()


# Statuses that pass.
TRANSIENT = {
    "grpc": ["UNAVAILABLE", "DEADLINE_EXCEEDED", "UNKNOWN", "INTERNAL"],
    "http": ["UNAVAILABLE", "DEADLINE_EXCEEDED", "BAD_GATEWAY"],
}
OF_POLLS = {"grpc": ["RESOURCE_EXHAUSTED", "CANCELLED", "ABORTED", "DATA_LOSS"], "http": []}


def of_each(statuses, superlinks):
    """(dialect, transport, status)"""
    return pytest.mark.parametrize(
        "dialect, transport, status",
        [(*each, status) for each in superlinks for status in statuses[PROTOCOLS[each[1]]]],
    )


spoken = pytest.mark.parametrize("dialect, transport", SPOKEN)
with_objects = pytest.mark.parametrize("dialect, transport", OBJECTS)


# ---- statuses ----

@of_each({name: TRANSIENT[name] + OF_POLLS[name] for name in TRANSIENT}, SPOKEN)
def test_poll_refused_for_a_while(federation, dialect, transport, status):
    """Each is tried again, whatever is said; one line says so."""
    with scene(federation, dialect, transport, FAILED) as at:
        at.link.script("PullMessages", *[refuse(status)] * 2)
        at.serves()
        assert len(re.findall(FAILED, at.node.text())) == 1


@spoken
def test_node_forgotten(federation, dialect, transport):
    """UNAUTHENTICATED: it registers again, and goes on under another number."""
    if transport == "rest":
        pytest.skip("REST does not say so: a 401 is a proxy's")
    with scene(federation, dialect, transport, FORGOTTEN) as at:
        before = at.link.node_id
        at.link.script("PullMessages", refuse("UNAUTHENTICATED", "Invalid node ID"))
        at.link.wait(lambda: at.link.node_id != before, "another registration")


@of_each(TRANSIENT, SPOKEN)
@pytest.mark.parametrize("method", ["GetRun", "GetFab", "PushMessages"])
def test_call_refused_once(federation, dialect, transport, method, status):
    """Tried again, and nothing is lost. The run must be new for GetRun and GetFab."""
    with scene(federation, dialect, transport, FAILED) as at:
        at.link.script(method, refuse(status))
        parcel = at.link.send(run_id=8)
        at.good(parcel)
        assert not at.link.scripted(method)


UNKNOWN_RUN = refuse("NOT_FOUND")
RUN_IS_OVER = refuse("PERMISSION_DENIED", "Run is not running", 2007)


@spoken
@pytest.mark.parametrize(
    "method, step",
    [
        ("GetRun", RUN_IS_OVER),
        ("GetFab", RUN_IS_OVER),
        ("GetRun", UNKNOWN_RUN),
        ("GetRun", raw(b"")),  # so does Flower's say that it does not know it
    ],
)
def test_run_is_over(federation, dialect, transport, method, step):
    """The run is not running, or not known: nobody waits for an answer."""
    if PROTOCOLS[transport] == "http" and step is UNKNOWN_RUN:
        pytest.skip("over HTTP a 404 says that there is no such method")
    if transport == "rest" and step is RUN_IS_OVER:
        pytest.skip("REST does not say so: a 403 is a proxy's")
    with scene(federation, dialect, transport, DROPPED) as at:
        at.link.script(method, step)
        parcel = at.link.send(run_id=8)
        at.serves()
        assert not at.link.replies_to(parcel.id)


@spoken
def test_fab_is_not_there(federation, dialect, transport):
    """So do SuperLinks from 1.33 on say it. The sender of the message is told."""
    if transport == "rest":
        pytest.skip("was over before 1.33")
    with scene(federation, dialect, transport, MESSAGE_FAILED.format("7")) as at:
        at.link.script("GetFab", refuse("PERMISSION_DENIED", "no, says the test", 2009))
        parcel = at.link.send(run_id=8)
        at.fails(parcel, 7, "no, says the test")


@spoken
@pytest.mark.parametrize("method", ["GetRun", "GetFab"])
@pytest.mark.parametrize("status", ["INVALID_ARGUMENT", "FAILED_PRECONDITION"])
def test_run_cannot_be_had(federation, dialect, transport, method, status):
    """The sender of the message is told."""
    code = RUN_CODES[method]
    with scene(federation, dialect, transport, MESSAGE_FAILED.format(code)) as at:
        federation.expect(REFUSED)
        at.link.script(method, refuse(status))
        parcel = at.link.send(run_id=8)
        at.fails(parcel, code, "the SuperLink did not give .*no, says the test")


@spoken
def test_reply_refused_for_good(federation, dialect, transport):
    """Said in the log, and the next message is served."""
    with scene(federation, dialect, transport, REPLY_LOST, DROPPED) as at:
        at.link.script("PushMessages", refuse("INVALID_ARGUMENT", "odd reply", 1003))
        parcel = at.link.send()
        at.link.wait(lambda: not at.link.scripted("PushMessages"), "a reply")
        assert not at.link.replies_to(parcel.id)


@spoken
def test_reply_too_large(federation, dialect, transport):
    """RESOURCE_EXHAUSTED on a reply: an error is sent in its place."""
    failed = MESSAGE_FAILED.format(8)
    with scene(federation, dialect, transport, REPLY_REFUSED, failed) as at:
        at.link.script("PushMessages", refuse("RESOURCE_EXHAUSTED", "too large"))
        at.fails(at.link.send(), 8, "too large|size|bytes")


@spoken
def test_answer_to_reply_lost(federation, dialect, transport):
    """It has been stored, but nobody says so: pushed again. Without objects
    a SuperLink cannot know that it is the same."""
    with scene(federation, dialect, transport, FAILED) as at:
        at.link.script("PushMessages", after(refuse("UNAVAILABLE")))
        parcel = at.link.send()
        if dialect == "A":
            at.link.wait(lambda: len(at.link.replies_to(parcel.id)) == 2, "the same again")
            at.link.replies.remove(at.link.replies_to(parcel.id)[0])  # for the count at the end
        at.good(parcel)


# A heartbeat is also how the node finds out which of A and B it is.
PROBE = {"A": [honest], "B": [honest], "C": []}


@spoken
def test_heartbeats_refused(federation, dialect, transport):
    """The first beat comes at once; a failure is no end."""
    federation.expect(FAILED)
    at = Scene(federation, dialect, transport, {})
    method = "Ping" if dialect == "A" else "SendNodeHeartbeat"
    try:
        at.link.script(method, *PROBE[dialect], *[refuse("INTERNAL")] * 2, raw(b"\xff\xff"))
        at.link.wait_online()
        at.link.wait(lambda: not at.link.scripted(method), "three tries")
        at.serves()
        assert at.node.stop() == 0
    finally:
        at.close()


@spoken
def test_heartbeat_says_no(federation, dialect, transport):
    """success=false: the SuperLink has forgotten the node."""
    federation.expect(FORGOTTEN)
    at = Scene(federation, dialect, transport, {})
    method = "Ping" if dialect == "A" else "SendNodeHeartbeat"
    try:
        at.link.script(method, *PROBE[dialect], raw(b""))
        at.node.wait_log(FORGOTTEN)
        wait_until(lambda: at.node.text().count("registered: node_id=") == 2, "again")
        at.serves()
        assert at.node.stop() == 0
    finally:
        at.close()


# Whatever HTTP can say that is not 200.
ODD_HTTP = [302, 400, 401, 403, 404, 405, 408, 409, 412, 413, 415, 425, 429]
ODD_HTTP += [500, 501, 502, 503, 504, 520]
ALL_STATUSES = {
    "grpc": [refuse(name) for name in CODES if name != "OK"],
    "http": [refuse("UNKNOWN", http=status) for status in ODD_HTTP],
}
HEARTBEATS = ("Ping", "SendNodeHeartbeat")
# Heartbeats take minutes, for who is forgotten often waits for long: not the first, nor the last.
REFUSABLE = ("GetRun", *HEARTBEATS, "GetFab", "PullObject", "PushObject", "PushMessages")
REFUSABLE += ("ConfirmMessageReceived",)
UNANSWERED = f"{DROPPED}|{LOST}|{REPLY_LOST}|{FORGOTTEN}"


def wait_registered(at):
    """Again, as often as it has been forgotten."""

    def as_often():
        text = at.node.text()
        return text.count("registered: node_id=") == len(re.findall(FORGOTTEN, text)) + 1

    wait_until(as_often, "a registration")


@pytest.mark.parametrize(
    "dialect, transport, method",
    [(*each, method) for each in SPOKEN for method in REFUSABLE if method in METHODS[each[0]]],
)
def test_every_status_on_every_call(federation, dialect, transport, method):
    """Answered, failed or given up: the node lives, and serves the next one."""
    # REST has no other word for a node that is forgotten, but as the SuperLink of another release.
    forgotten = "UNIMPLEMENTED" if transport == "rest" else "UNAUTHENTICATED"
    with scene(federation, dialect, transport) as at:
        federation.expect(r"(WARN|ERROR)\s+supernode: ")
        for number, step in enumerate(ALL_STATUSES[PROTOCOLS[transport]]):
            at.link.script(method, step)
            if method in HEARTBEATS:  # one comes at once after each registration
                at.link.script("PullMessages", refuse(forgotten, "Invalid node ID"))
                at.link.wait(lambda: not at.link.scripted(method), "a heartbeat")
                wait_registered(at)
            before = len(re.findall(UNANSWERED, at.node.text()))
            run_id = 8 + number if method in RUN_CODES else 7
            parcel = at.link.send(run_id=run_id)
            at.link.wait(lambda: not at.link.scripted(method), f"{method}")
            wait_until(
                lambda parcel=parcel, before=before: at.link.replies_to(parcel.id)
                or len(re.findall(UNANSWERED, at.node.text())) > before,
                "an end of the message",
            )
            wait_registered(at)


# ---- answers that are no answers ----

BROKEN = {
    "random": bytes(range(255, 155, -1)),
    "cut": b"\x12\x80\x01\x0a",
    "long varint": b"\x12" + b"\xff" * 10 + b"\x01",
    "length beyond 64 bits": b"\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
    "group": b"\x13\x14",
    "field 0": b"\x02\x00",
    "message of 2 GiB": b"\x12\xff\xff\xff\xff\x07",
    "metadata cut": b"\x12\x04\x0a\x09\x08\x07",
    "bad UTF-8": field(
        PullMessagesResponse,
        "messages_list",
        field(Message, "metadata", field(Metadata, "message_id", b"\xff\xfe")),
    ),
}
# Can be read, and says nothing: no run, no id.
NO_MESSAGE = PullMessagesResponse(messages_list=[Message()]).SerializeToString()
EMPTY = {"nothing": NO_MESSAGE, "deep": nested(number_of(PullMessagesResponse, "messages_list"), 100_000)}


@spoken
@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN.keys())
def test_message_unreadable(federation, dialect, transport, body):
    """One line that it is lost, and the next poll."""
    with scene(federation, dialect, transport, LOST) as at:
        at.link.script("PullMessages", raw(body))
        at.link.wait(lambda: not at.link.scripted("PullMessages"), "a poll")


@spoken
@pytest.mark.parametrize("body", EMPTY.values(), ids=EMPTY.keys())
def test_message_empty(federation, dialect, transport, body):
    """No node's, no run's: no worker is started for it."""
    failed = MESSAGE_FAILED.format("(8|3)")  # 3: it has no tree
    with scene(federation, dialect, transport, failed) as at:
        before = at.node.text().count("worker started")
        at.link.script("PullMessages", raw(body))
        at.node.wait_log(failed)
        assert at.node.text().count("worker started") == before


@spoken
@pytest.mark.parametrize(
    "method, body, code",
    [
        ("GetRun", b"\xff\xff", 8),
        ("GetRun", b"\x0a\x7f", 8),
        ("GetRun", GetRunResponse(run=Run()).SerializeToString(), 7),  # a run without a FAB
        ("GetFab", b"\xff\xff", 7),
        ("GetFab", b"\x0a\x7f", 7),
        ("GetFab", b"", 7),
        ("GetFab", GetFabResponse(fab=Fab()).SerializeToString(), 7),  # an empty FAB
    ],
)
def test_run_unreadable(federation, dialect, transport, method, body, code):
    """What cannot be read is asked for a few times; then the sender is told."""
    with scene(federation, dialect, transport, MESSAGE_FAILED.format(code)) as at:
        federation.expect(FAILED, REFUSED)
        at.link.script(method, *[raw(body)] * 3)
        parcel = at.link.send(run_id=8)
        at.fails(parcel, code)
        at.link.scripts.clear()


@spoken
def test_answer_to_reply_unreadable(federation, dialect, transport):
    """The reply is there. Which objects are wanted is asked again; nothing is answered twice."""
    with scene(federation, dialect, transport) as at:
        federation.expect(UNREAD)
        at.link.script("PushMessages", after(raw(b"\xff\xff")))
        at.good(at.link.send())


@spoken
@pytest.mark.parametrize("body", [b"\xff", b"", b"\x0a\x00"])
def test_registration_unreadable(federation, dialect, transport, body):
    """No node in it: tried again."""
    federation.expect(FAILED)
    at = Scene(federation, dialect, transport, {})
    method = "ActivateNode" if dialect == "C" else "CreateNode"
    try:
        at.link.script(method, raw(body))
        at.node.wait_log(r"registered: node_id=(\d+)")
        at.serves()
        assert at.node.stop() == 0
    finally:
        at.close()


# ---- what is no SuperLink's ----


def says(status, *lines, text=b"<html>"):
    """A proxy, or a portal in its place."""
    lines = ["content-type: text/html", f"content-length: {len(text)}", *lines]
    return wire([f"HTTP/1.1 {status} Words", *lines], text)


OF_PROXIES = {
    "denied": says(403),
    "wants its own password": says(401, "www-authenticate: Basic"),
    "wants a password": says(407, "proxy-authenticate: Basic"),
    "redirects": says(302, "location: http://portal.invalid/", text=b""),
    "portal": says(200),
}
OVER_HTTP = [each for each in SPOKEN if PROTOCOLS[each[1]] == "http"]


@pytest.mark.parametrize("dialect, transport", OVER_HTTP)
def test_proxy_in_the_way(federation, dialect, transport):
    """However long it answers in the SuperLink's place, whatever it says: nothing is over, nobody is
    forgotten, nothing is lost."""
    federation.expect(FAILED)
    at = Scene(federation, dialect, transport, {})
    try:
        at.link.script("ActivateNode" if dialect == "C" else "CreateNode", says(403))
        at.link.wait_online()
        at.serves()
        node_id = at.link.node_id
        at.link.script("PullMessages", says(401))
        at.link.script("GetRun", says(403))
        at.link.script("GetFab", says(403))
        at.link.script("PushMessages", *OF_PROXIES.values())  # more than odd answers may be
        parcel = at.link.send(run_id=8)
        at.good(parcel, 120)
        at.delivered(parcel)
        assert not any(at.link.scripts.values())
        assert len(at.link.replies_to(parcel.id)) == 1
        assert at.link.node_id == node_id
        assert at.node.find("as proxies say it")
        at.serves()
        assert at.node.stop() == 0
    finally:
        at.close()


GOOD = ["HTTP/1.1 200 OK", "content-type: application/protobuf"]
CHUNKED = "transfer-encoding: chunked"
# Each in place of one answer.
WIRE = {
    "another type": says(200),
    "another status": says(403),
    "shorter than it says": wire([*GOOD, "content-length: 1000"], b"\x12\x03"),
    "two lengths": wire([*GOOD, "content-length: 2", "content-length: 3"], NO_MESSAGE + b"\0"),
    "length is no number": wire([*GOOD, "content-length: +2"], NO_MESSAGE),
    "too large": wire([*GOOD, f"content-length: {1 << 40}"]),
    "no chunk": wire([*GOOD, CHUNKED], b"zz\r\n%b\r\n0\r\n\r\n" % NO_MESSAGE),
    "cut in a chunk": wire([*GOOD, CHUNKED], b"ff\r\n" + NO_MESSAGE),
    "no last chunk": wire([*GOOD, CHUNKED], b"2\r\n%b\r\n" % NO_MESSAGE),
    "compressed": wire([*GOOD, "content-encoding: gzip", "content-length: 2"], b"\x1f\x8b"),
    "part": wire(["HTTP/1.1 206 Part", *GOOD[1:], "content-length: 2"], NO_MESSAGE),
    "no HTTP": wire(["SSH-2.0-OpenSSH_9.2"]),
    "refusal without end": wire(
        ["HTTP/1.1 500 Words", CHUNKED], b"100000\r\n" + bytes(1 << 20) + b"\r\n", stays=True
    ),
    "half a refusal": wire(["HTTP/1.1 503 Words", "content-length: 1000"], b"x" * 10, stays=True),
}


@pytest.mark.parametrize(
    "dialect, transport, method",
    [(*each, method) for method in ("PushMessages", "GetRun", "PullMessages") for each in OVER_HTTP],
)
def test_wire(federation, dialect, transport, method):
    """Wrong in type, length, chunks, status: each costs another try, and nothing is lost."""
    with scene(federation, dialect, transport, FAILED) as at:
        federation.expect(UNREAD)
        for number, (name, step) in enumerate(WIRE.items()):
            # It is an OK, by which a reply is there.
            done = name == "too large" and method == "PushMessages"
            at.link.script(method, after(step) if done else step)
            run_id = 8 + number if method == "GetRun" else 7
            parcel = at.link.send(run_id=run_id)
            at.good(parcel)
            at.delivered(parcel)
            assert not at.link.scripted(method), name


CONTAINERS = {
    "another name": misname(),
    "no container": contain(b"\xff\xff"),
    "nothing": contain(b""),
}


@pytest.mark.parametrize("dialect", ["A", "C"])
def test_containers(federation, dialect):
    """By the adapter: the SuperLink has done what was asked, but its answer is called something else,
    or cannot be unpacked. A reply is there then: it is not pushed again."""
    with scene(federation, dialect, "adapter") as at:
        federation.expect(FAILED, UNREAD)
        run_id = 7
        for method in ("PushMessages", "GetRun"):
            for name, step in CONTAINERS.items():
                run_id += method == "GetRun"
                at.link.script(method, step)
                parcel = at.link.send(run_id=run_id)
                at.good(parcel)
                at.delivered(parcel)
                assert not at.link.scripted(method), name
                assert len(at.link.replies_to(parcel.id)) == 1, name
        at.link.script("PullMessages", *CONTAINERS.values())
        at.link.wait(lambda: not at.link.scripted("PullMessages"), "polls")


# ---- too much ----


def of_one_message(bytes_of_it):
    return field(PullMessagesResponse, "messages_list", bytes(bytes_of_it))


@large
@spoken
def test_answer_too_large(federation, dialect, transport):
    """More than the node takes: refused before it is decoded, and polling goes on."""
    options = {"--grpc-max-message-length": LARGEST * MIB}
    with scene(federation, dialect, transport, options=options) as at:
        federation.expect(LOST, TOO_LARGE)
        at.link.script("PullMessages", raw(of_one_message((LARGEST + 1) * MIB)))
        at.link.wait(lambda: not at.link.scripted("PullMessages"), "a poll")


@pytest.mark.parametrize("transport, largest", [("rest", 128), ("adapter", 320), ("grpc", 320)])
def test_message_over_the_budget(federation, transport, largest):
    """Its content is not taken; its sender is told all the same."""
    options = {"--memory-budget": "64M"}
    with scene(federation, "A", transport, MESSAGE_FAILED.format(8), options=options) as at:
        at.fails(at.link.send(bytes=90 * MIB), 8, "larger than .* memory budget")
        assert SANITIZED or memory(at.node, "VmHWM") < largest


@large
@pytest.mark.parametrize("transport", ["rest", "grpc"])
def test_message_far_over_the_budget(federation, transport):
    """It is given up while it comes: memory is bounded, and polling goes on."""
    options = {"--memory-budget": "64M"}
    with scene(federation, "A", transport, options=options) as at:
        federation.expect(TOO_LARGE)
        at.link.script("PullMessages", raw(of_one_message(600 * MIB)))
        at.node.wait_log(TOO_LARGE)
        assert SANITIZED or memory(at.node, "VmHWM") < 320


@spoken
def test_fat_heartbeat(federation, dialect, transport):
    """A yes of 128 MiB is not taken; the node beats on, and stays small."""
    federation.expect(FAILED)
    at = Scene(federation, dialect, transport, {})
    method = "Ping" if dialect == "A" else "SendNodeHeartbeat"
    try:
        at.link.script(method, *PROBE[dialect], raw(start_of(UNKNOWN, 128 * MIB) + bytes(128 * MIB)))
        at.link.wait_online()
        at.link.wait(lambda: not at.link.scripted(method), "a beat")
        at.serves()
        at.node.wait_log(r"(RESOURCE_EXHAUSTED|UNAVAILABLE) ")
        if not SANITIZED:
            assert memory(at.node, "VmHWM") < 96
        assert at.node.stop() == 0
    finally:
        at.close()


@pytest.mark.parametrize("dialect, transport", [each for each in OBJECTS if PROTOCOLS[each[1]] == "http"])
def test_fat_object(federation, dialect, transport):
    """Objects have a bound: the message is answered with an error. (Over gRPC the memory of the
    connection has one, and which of several calls at a time suffers is gRPC's choice.)"""
    with scene(federation, dialect, transport, MESSAGE_FAILED.format(3)) as at:
        parcel = at.link.make()
        fat = at.link.protos.PullObjectResponse(object_content=bytes(65 * MIB)).SerializeToString()
        at.link.script("PullObject", *[raw(fat)] * 2 * len(parcel.objects))
        at.fails(at.link.hand_in(parcel), 3, "larger")
        at.link.scripts.pop("PullObject", None)


@spoken
def test_many_empty_messages(federation, dialect, transport):
    """Millions in few bytes; the first is of no use, the others are lost."""
    with scene(federation, dialect, transport, TOO_MANY) as at:
        federation.expect(MESSAGE_FAILED.format("(8|3)"))
        at.link.script("PullMessages", raw(NO_MESSAGE * (3 * MIB)))
        at.link.wait(lambda: not at.link.scripted("PullMessages"), "a poll")


@spoken
def test_two_messages_at_once(federation, dialect, transport):
    """The first is answered, and the log says that the other one is lost."""
    with scene(federation, dialect, transport, TOO_MANY) as at:
        first, second = (at.link.make() for _ in range(2))
        at.link.parcels |= {first.id: first, second.id: second}

        def both(call):
            response = call.answer()
            for parcel in (first, second):
                at.link.hand_out(parcel, response)
            return response

        at.link.script("PullMessages", both)
        at.good(first)
        assert not at.link.replies_to(second.id)


@spoken
def test_fab_is_a_bomb(federation, dialect, transport):
    """Larger than a bundle may be, several times; what one took may stay with the program."""
    with scene(federation, dialect, transport, room=LARGEST_FAB + SMALL) as at:
        federation.expect(FAILED, REFUSED, MESSAGE_FAILED.format("7"))

        def bomb(response):
            response.fab.content = bytes(LARGEST_FAB * MIB + 1)

        at.link.script("GetFab", *[edit(bomb)] * 4)
        for run_id in range(8, 12):
            at.fails(at.link.send(run_id=run_id), 7)


@spoken
@pytest.mark.parametrize("length", [0, 1, 100, -1])
def test_fab_is_not_what_it_should_be(federation, dialect, transport, length):
    """Cut: its hash is another one."""
    with scene(federation, dialect, transport, MESSAGE_FAILED.format("7")) as at:
        federation.expect(REFUSED, FAILED)

        def cut(response):
            response.fab.content = response.fab.content[:length]

        at.link.script("GetFab", *[edit(cut)] * 3)
        at.fails(at.link.send(run_id=8), 7)
        at.link.scripts.clear()


# ---- messages as no SuperLink would send them ----


def set_ttl(value):
    def change(message):
        message.metadata.ttl = value

    return change


@spoken
@pytest.mark.parametrize("ttl", [-1.0, -math.inf, 0.0])
def test_ttl_is_no_time(federation, dialect, transport, ttl):
    """It is over before it has begun: answered with an error, or dropped; no worker."""
    with scene(federation, dialect, transport) as at:
        federation.expect(MESSAGE_FAILED.format(r"\d+"), DROPPED, LOST)
        before = at.node.text().count("worker started")
        changed_message(at.link, set_ttl(ttl))
        at.link.wait(lambda: not at.link.waiting, "a poll")
        at.link.wait_calls("PullMessages", 2)
        assert at.node.text().count("worker started") == before


@spoken
@pytest.mark.parametrize("ttl", [math.inf, 1e308, 1e18, math.nan])
def test_ttl_is_very_long(federation, dialect, transport, ttl):
    """As good as no end; so is what is no number."""
    with scene(federation, dialect, transport) as at:
        federation.expect(MESSAGE_FAILED.format(r"\d+"), LOST)
        parcel = changed_message(at.link, set_ttl(ttl))
        at.link.wait_reply(parcel.id)


@spoken
@pytest.mark.parametrize("created_at", [math.nan, math.inf, -math.inf, 0.0, 4e9, -1e300])
def test_created_at_another_time(federation, dialect, transport, created_at):
    """A clock that is wrong is no reason not to answer."""

    def change(message):
        message.metadata.created_at = created_at

    with scene(federation, dialect, transport) as at:
        federation.expect(MESSAGE_FAILED.format(r"\d+"), DROPPED, LOST)
        changed_message(at.link, change)
        at.link.wait(lambda: not at.link.waiting, "a poll")


@spoken
@pytest.mark.parametrize("type", ["nothing.we.know", "", "train.\n", "x" * 5000, "query\x1b[2J"])
def test_unknown_message_type(federation, dialect, transport, type):
    """The app says that it does not know it; nothing of it gets into the log as it is."""

    def change(message):
        message.metadata.message_type = type

    with scene(federation, dialect, transport) as at:
        federation.expect(MESSAGE_FAILED.format(r"\d+"), LOST, "clientapp: ")
        parcel = changed_message(at.link, change)
        at.link.wait(lambda: not at.link.waiting, "a poll")
        if not at.node.find(LOST):
            at.link.wait_reply(parcel.id)
        assert "\x1b[2J" not in at.node.text()


@spoken
def test_no_content(federation, dialect, transport):
    """Neither content nor an error."""
    with scene(federation, dialect, transport) as at:
        federation.expect(MESSAGE_FAILED.format(r"\d+"), LOST)
        parcel = changed_message(at.link, lambda message: message.ClearField("content"))
        at.link.wait(lambda: not at.link.waiting, "a poll")
        if not at.node.find(LOST):
            at.link.wait_reply(parcel.id)


@spoken
def test_another_nodes_message(federation, dialect, transport):
    def change(message):
        message.metadata.dst_node_id = 12345

    with scene(federation, dialect, transport) as at:
        federation.expect(MESSAGE_FAILED.format(r"\d+"), LOST, DROPPED)
        changed_message(at.link, change)
        at.link.wait(lambda: not at.link.waiting, "a poll")


@spoken
def test_the_same_message_again(federation, dialect, transport):
    """Handed out twice while it is at work, and once more when it was answered."""
    with scene(federation, dialect, transport) as at:
        federation.expect(DROPPED, LOST, MESSAGE_FAILED.format(r"\d+"))
        parcel = at.link.send()
        at.link.hand_in(parcel)
        at.good(parcel)
        at.link.wait(lambda: not at.link.waiting, "a poll")
        at.link.wait_calls("PullMessages", 2)
        first = at.link.replies_to(parcel.id)
        wait_until(lambda: not at.node.find("never"), "nothing more", 1)
        for again in at.link.replies_to(parcel.id)[1:]:
            at.link.replies.remove(again)  # each copy may be answered
        assert first


# ---- lines that are slow, or break ----


@spoken
def test_poll_never_answered(federation, dialect, transport):
    """No deadline: a message may be on its way. It still stops at once."""
    at = Scene(federation, dialect, transport, {})
    try:
        at.link.wait_online()
        at.serves()
        at.link.script("PullMessages", never)
        at.link.wait(lambda: not at.link.scripted("PullMessages"), "a poll")
        assert at.node.stop() == 0
    finally:
        at.close()


@spoken
def test_poll_never_answered_then_cut(federation, dialect, transport):
    """The connection ends: the next one is as good as the first."""
    with scene(federation, dialect, transport) as at:
        federation.expect(FAILED)  # HTTP's client may have another try by itself
        at.link.script("PullMessages", never)
        at.link.wait(lambda: not at.link.scripted("PullMessages"), "a poll")
        at.link.relay.cut()


@spoken
def test_cut_in_a_message(federation, dialect, transport):
    """A message that breaks off in the middle is lost in dialect A; its objects are not, later."""
    with scene(federation, dialect, transport, FAILED) as at:
        at.link.relay.cut_in_answer(3 * MIB)
        parcel = at.link.send(bytes=6 * MIB)
        assert at.link.relay.was_cut.wait(30)
        if dialect != "A":
            at.good(parcel)


@spoken
def test_cut_in_the_fab(federation, dialect, transport):
    with scene(federation, dialect, transport, FAILED) as at:
        big = os.urandom(2 * MIB)

        def grow(response):
            response.fab.content += big

        at.link.script("GetFab", edit(grow))
        at.link.relay.cut_in_answer(MIB)
        at.good(at.link.send(run_id=8))
        assert at.link.relay.was_cut.is_set()


@spoken
def test_slow_drip(federation, dialect, transport):
    """A few bytes at a time: slow is not dead."""
    with scene(federation, dialect, transport) as at:
        at.link.relay.answer_rate = 4000
        at.serves()
        at.serves(bytes=8000)
        at.link.relay.answer_rate = None


# ---- objects ----


TREES = {
    "broken": lambda protos: b"\xff\xff",
    "deep": lambda protos: deep_tree(protos, 100_000),
    "wide": lambda protos: wide_tree(protos, 1_000_000),
    "deep without ids": lambda protos: nested(number_of(protos.ObjectTree, "children"), 100_000),
    "empty": lambda protos: b"",
}


@with_objects
@pytest.mark.parametrize("make", TREES.values(), ids=TREES.keys())
def test_odd_tree(federation, dialect, transport, make):
    """Refused with a sentence; what the largest took may stay with the program."""
    tree = make(protos_of(newest()))
    room = SMALL + len(tree) // MIB
    with scene(federation, dialect, transport, room=room) as at:
        federation.expect(MESSAGE_FAILED.format(r"\d+"), LOST)
        parcel, step = with_tree(at.link, tree)
        at.link.script("PullMessages", step)
        at.link.wait_reply(parcel.id)


def cycle(protos):
    """An object is its own grandchild, and so is its child."""
    first, second, again = fake_id(1), fake_id(2), protos.ObjectTree(object_id=fake_id(2))
    tree = protos.ObjectTree(object_id=first)
    child = tree.children.add(object_id=second)
    child.children.add(object_id=first, children=[again])
    return tree.SerializeToString()


@with_objects
def test_tree_with_a_cycle(federation, dialect, transport):
    with scene(federation, dialect, transport, MESSAGE_FAILED.format(r"\d+")) as at:
        parcel, step = with_tree(at.link, cycle(at.link.protos))
        at.link.script("PullMessages", step)
        at.fails(parcel, 3)


@with_objects
def test_no_tree(federation, dialect, transport):
    with scene(federation, dialect, transport, MESSAGE_FAILED.format(r"\d+")) as at:
        parcel = at.link.send()
        parcel.tree = None
        at.fails(parcel, 3)


def object_step(change):
    """The object comes changed: change(its bytes) -> bytes"""

    def edit_object(response):
        response.object_content = change(response.object_content)

    return edit(edit_object)


SPOILT = {
    "cut": lambda content: content[:-1],
    "longer": lambda content: content + b"x",
    "another": lambda content: b"ConfigRecord  0\0",
    "empty": lambda content: b"",
    "no head": lambda content: b"x" * 100,
}


@with_objects
@pytest.mark.parametrize("change", SPOILT.values(), ids=SPOILT.keys())
@pytest.mark.parametrize("times", [1, 30])
def test_object_is_another(federation, dialect, transport, change, times):
    """Asked for again; when it stays as it is, the sender is told."""
    asked_again = r"an object is not what it is called"
    with scene(federation, dialect, transport, asked_again) as at:
        federation.expect(MESSAGE_FAILED.format("3"))
        at.link.script("PullObject", *[object_step(change)] * times)
        parcel = at.link.send()
        if times == 1:
            at.good(parcel)
        else:
            at.fails(parcel, 3)
        at.link.scripts.clear()


def flip(content):
    """It is as long as it should be."""
    return content[:-1] + bytes([content[-1] ^ 1]) if len(content) >= 1 << 16 else content


@with_objects
def test_large_object_is_another(federation, dialect, transport):
    """Its worker sees it, and the sender is told."""
    worker_line = r"\d+: message \w+ failed: code=3: "
    with scene(federation, dialect, transport, worker_line, MESSAGE_FAILED.format("3")) as at:
        at.link.script("PullObject", *[object_step(flip)] * 30)
        parcel = at.link.send(bytes=4 * MIB)
        at.fails(parcel, 3, "broken at the SuperLink")
        at.link.scripts.clear()


@pytest.mark.parametrize("workers", ["command", "address", "process"])
def test_large_object_is_another_for_other_workers(federation, workers):
    """The SuperNode sees it: who knows what a worker looks at that is not its own."""
    address = f"127.0.0.1:{free_ports(1)[0]}"
    command = (
        f"{os.environ['FLWR_BIN_DIR']}/flwr-clientapp --insecure --token {{token}}"
        f" --python {federation.bin / 'python'} --clientappio-api-address={{address}}"
    )
    options = {"--clientapp-command": command}
    if workers != "command":
        options = {"--clientappio-api-address": address}
    if workers == "process":
        options["--isolation"] = "process"
        federation.expect(r"cannot be reached")
        federation.start_clientapp(address)
    asked_again = r"an object is not what it is called"
    with scene(federation, "C", "http", asked_again, options=options) as at:
        federation.expect(MESSAGE_FAILED.format("3"))
        for times in (1, 30):
            at.link.script("PullObject", *[object_step(flip)] * times)
            parcel = at.link.send(bytes=4 * MIB)
            if times == 1:
                at.good(parcel)
            else:
                at.fails(parcel, 3, "broken at the SuperLink")
            at.link.scripts.clear()


@with_objects
def test_object_lost(federation, dialect, transport):
    """object_found is false."""
    with scene(federation, dialect, transport, MESSAGE_FAILED.format("3")) as at:
        at.link.script("PullObject", raw(b""))
        at.fails(at.link.send(), 3, "lost")


def not_yet(response):
    response.object_available = False
    response.object_content = b""


@with_objects
def test_object_not_yet_available(federation, dialect, transport):
    """It is waited for."""
    with scene(federation, dialect, transport) as at:
        at.link.script("PullObject", *[edit(not_yet)] * 3)
        at.serves()


@of_each(TRANSIENT, OBJECTS)
def test_object_refused_once(federation, dialect, transport, status):
    with scene(federation, dialect, transport, FAILED) as at:
        at.link.script("PullObject", refuse(status))
        at.serves(bytes=4 * MIB)


@with_objects
def test_object_not_stored(federation, dialect, transport):
    """stored=false: announced again."""
    with scene(federation, dialect, transport) as at:
        at.link.script("PushObject", raw(b""))
        parcel = at.link.send()
        at.link.wait_reply(parcel.id)


@with_objects
def test_asks_for_what_is_not_there(federation, dialect, transport):
    def more(response):
        response.objects_to_push.append(fake_id(5))

    with scene(federation, dialect, transport) as at:
        federation.expect(REPLY_LOST, REPLY_REFUSED, FAILED, MESSAGE_FAILED.format(r"\d+"))
        at.link.script("PushMessages", edit(more))
        parcel = at.link.send()
        at.link.wait(lambda: len(at.link.replies_to(parcel.id)) == 2, "the reply, and an error")
        at.link.replies.remove(at.link.replies_to(parcel.id)[0])  # it is whole, but who knows
        at.fails(parcel, 8)


@with_objects
def test_confirmation_refused(federation, dialect, transport):
    """It is for the SuperLink's good only."""
    with scene(federation, dialect, transport) as at:
        federation.expect(FAILED)
        at.link.script("ConfirmMessageReceived", refuse("INTERNAL"), refuse("NOT_FOUND"))
        at.serves()
