"""A Link is what a SuperLink knows and answers: runs, FABs, messages to hand out, the replies that came.
A Carrier brings it the calls of a node (grpc_link.py, http_link.py)."""

import hashlib
import threading
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field

from ..processes import Late
from .parcel import ids_of

OLD = ("CreateNode", "DeleteNode")
BOTH = ("PullMessages", "PushMessages", "GetRun", "GetFab")
OBJECTS = ("SendNodeHeartbeat", "PullObject", "PushObject", "ConfirmMessageReceived")
KEYS = ("RegisterNode", "ActivateNode", "DeactivateNode", "UnregisterNode")
METHODS = {"A": (*OLD, *BOTH, "Ping"), "B": (*OLD, *BOTH, *OBJECTS), "C": (*BOTH, *OBJECTS, *KEYS)}
OBJECT_TYPES = {
    "Message", "RecordDict", "ArrayRecord", "Array", "ArrayChunk", "MetricRecord", "ConfigRecord"
}  # fmt: skip


def names_of(method):
    """The names of a method's two messages."""
    stem = f"{method}Fleet" if method in ("RegisterNode", "UnregisterNode") else method
    return f"{stem}Request", f"{stem}Response"


@dataclass
class Refusal(Exception):
    """A call is answered with a status: gRPC's name of it, and what Flower's errors have."""

    status: str
    text: str = ""
    code: int | None = None  # Flower's
    http: int | None = None  # HTTP answers with this status, not with the twin of the one above


@dataclass
class Raw:
    """These bytes take the place of the response message. Over HTTP, head takes the place of the right
    one, and with stays the connection does not end behind it. By the adapter, name or container take
    the place of the right one."""

    body: bytes
    head: bytes | None = None
    stays: bool = False
    name: str | None = None
    container: bytes | None = None


class Never(Exception):
    """A call gets no answer, for as long as the caller waits."""


@dataclass
class Fab:
    hash: str
    content: bytes
    id: str = "flwr-native/evil"


@dataclass
class Reply:
    message: object
    tree: object = None
    missing: set = field(default_factory=set)  # ids of objects that were not pushed yet
    objects: dict = field(default_factory=dict)
    came: float = 0.0  # when its last call came


class Call:
    """One call of the node; answer() is what an honest SuperLink says to it."""

    def __init__(self, link, method, request, came):
        self.link, self.method, self.request, self.came = link, method, request, came

    def answer(self):
        with self.link.changed:
            self.link.came = self.came
            response = self.link.response(self.method)
            return getattr(self.link, self.method)(self.request, response) or response


class Carrier:
    """The base of what carries calls: a subclass has a port and close()."""

    def __init__(self, link):
        self.link = link

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def ready(self, method, body):
        """A Raw of an answer, whose sending costs as little as can be."""
        return Raw(body)

    def reserve(self, size):
        """The next bodies have so many bytes together, and the last ones are not used any more."""


class Link:
    """The scripts lie in its place: script(method, step, ...) has the next calls of a method answered
    by step(call), one each; a step gives a response message or a Raw, or raises Refusal or Never."""

    def __init__(self, dialect, protos, new_fab, old_protos=None):
        self.dialect = dialect
        self.protos = protos
        self.old_protos = old_protos or protos  # the messages of OLD are only in the oldest release
        self.new_fab = new_fab  # run id -> Fab
        self.fabs = {}  # run id -> its Fab, one of its own for each
        self.methods = METHODS[dialect]
        self.changed = threading.Condition(threading.RLock())
        self.closing = threading.Event()
        self.scripts = {}
        self.calls = Counter()
        self.node_id = 0
        self.keys = {}  # public key -> node id
        self.online = None  # since when the node is, by time.time()
        self.came = 0.0  # when the call that is answered now came
        self.waiting = []
        self.parcels = {}
        self.handed_out = {}  # message id -> Parcel
        self.replies = []  # all that came, in order
        self.sessions = {}
        self.wrong = []  # what the node did that no node should

    # ---- for tests and measurements ----

    def hand_in(self, parcel):
        """The message waits to be pulled from now on."""
        with self.changed:
            self.parcels[parcel.id] = parcel
            self.waiting.append(parcel)
        return parcel

    def script(self, method, *steps):
        with self.changed:
            self.scripts.setdefault(method, []).extend(steps)

    def scripted(self, method):
        """Are there steps that no call has come for?"""
        return bool(self.scripts.get(method))

    def wait(self, condition, what, seconds=30):
        with self.changed:
            if not self.changed.wait_for(condition, seconds):
                raise Late(f"the stand-in SuperLink has waited {seconds} s for {what}: {self.calls}")

    def wait_online(self, seconds=30):
        """Since when the node is."""
        self.wait(lambda: self.online, "a node", seconds)
        return self.online

    def wait_calls(self, method, more, seconds=30):
        """Wait for so many more calls of a method."""
        number = self.calls[method] + more
        self.wait(lambda: self.calls[method] >= number, f"{more} calls of {method}", seconds)

    def replies_to(self, id):
        with self.changed:
            return [
                each for each in self.replies if reply_to(each.message) == id and not each.missing
            ]

    def wait_reply(self, id, seconds=30):
        self.wait(lambda: self.replies_to(id), f"a reply to {id}", seconds)
        return self.replies_to(id)[0]

    # ---- for a Carrier ----

    def types(self, method):
        protos = self.old_protos if method in OLD else self.protos
        return [getattr(protos, name) for name in names_of(method)]

    def response(self, method):
        return self.types(method)[1]()

    def take(self, method, body):
        """The answer to a call, as a Raw; Refusal and Never as raised."""
        came = time.time()
        request = self.types(method)[0].FromString(bytes(body))
        call = Call(self, method, request, came)
        with self.changed:
            steps = self.scripts.get(method)
            step = steps.pop(0) if steps else Call.answer
            self.calls[method] += 1
            self.changed.notify_all()
        answer = step(call)
        return answer if isinstance(answer, Raw) else Raw(answer.SerializeToString())

    # ---- an honest SuperLink's methods, called with the lock: each fills the response, or gives a Raw ----

    def register(self, key):
        if key in self.keys:
            raise Refusal("FAILED_PRECONDITION", "Public key already in use", 23)
        self.keys[key] = uuid.uuid4().int >> 65 | 1
        return self.keys[key]

    def enter(self, node_id):
        self.node_id, self.online = node_id, time.time()
        self.changed.notify_all()

    def leave(self, request, response):
        self.online = None
        self.changed.notify_all()

    DeleteNode = DeactivateNode = UnregisterNode = leave

    def CreateNode(self, request, response):
        response.node.node_id = self.register(uuid.uuid4())
        self.enter(response.node.node_id)

    def Ping(self, request, response):
        response.success = request.node.node_id == self.node_id

    SendNodeHeartbeat = Ping

    def RegisterNode(self, request, response):
        response.node_id = self.register(request.public_key)

    def ActivateNode(self, request, response):
        if request.public_key not in self.keys:
            raise Refusal("FAILED_PRECONDITION", "Activation failed", 2004)
        response.node_id = self.keys[request.public_key]
        self.enter(response.node_id)

    def fab_of(self, run_id):
        if run_id not in self.fabs:
            self.fabs[run_id] = self.new_fab(run_id)
        return self.fabs[run_id]

    def GetRun(self, request, response):
        fab = self.fab_of(request.run_id)
        response.run.run_id = request.run_id
        response.run.fab_id = fab.id
        response.run.fab_version = "1.0.0"
        response.run.fab_hash = fab.hash

    def GetFab(self, request, response):
        fab = self.fab_of(request.run_id)
        response.fab.hash_str = fab.hash
        response.fab.content = fab.content

    def PullMessages(self, request, response):
        return self.hand_out(self.waiting.pop(0), response) if self.waiting else None

    def hand_out(self, parcel, response):
        self.handed_out[parcel.id] = parcel
        parcel.pulled = time.time()
        response.messages_list.append(parcel.message)
        if parcel.tree is not None:
            response.message_object_trees.append(parcel.tree)

    def PullObject(self, request, response):
        for parcel in self.handed_out.values():
            if request.object_id in parcel.objects:
                response.object_found = response.object_available = True
                response.object_content = parcel.objects[request.object_id]

    def ConfirmMessageReceived(self, request, response):
        if request.message_object_id not in self.handed_out:
            self.wrong.append(f"confirms {request.message_object_id}, which it was never given")
        else:
            self.handed_out[request.message_object_id].confirmed = True

    def PushMessages(self, request, response):
        trees = list(getattr(request, "message_object_trees", ()))
        if len(request.messages_list) != 1 or (self.dialect != "A" and len(trees) != 1):
            self.wrong.append(f"pushes {len(request.messages_list)} messages, {len(trees)} trees")
            raise Refusal("INVALID_ARGUMENT", "one message is expected", 1003)
        reply = Reply(request.messages_list[0])
        if reply_to(reply.message) and reply_to(reply.message) not in self.parcels:
            self.wrong.append(f"answers {reply_to(reply.message)}, which nobody sent")
        its = reply.message.metadata
        before = [each for each in self.replies if trees and each.message.metadata == its]
        if before:  # the node announces it again, and is asked for what was not stored yet
            reply = before[0]
        elif trees:
            reply.tree = trees[0]
            reply.missing = set(ids_of(reply.tree))
        if trees:
            response.objects_to_push.extend(sorted(reply.missing))
            if "session_id" in response.DESCRIPTOR.fields_by_name:
                response.session_id = uuid.uuid4().hex
                self.sessions[response.session_id] = reply
        response.results[""] = 0
        if not before:
            self.replies.append(reply)
            if not reply.missing:
                self.complete(reply)

    def complete(self, reply):
        """All of a reply is here; its last call is not answered yet."""
        reply.came = self.came
        self.changed.notify_all()

    def PushObject(self, request, response):
        id, session = request.object_id, getattr(request, "session_id", "")
        if session and session not in self.sessions:
            self.wrong.append(f"pushes an object in session {session}, which there is not")
        wrong = check_object(id, request.object_content)
        if wrong or not self.store(id, request.object_content):
            self.wrong.append(f"pushes object {id}: {wrong or 'nobody wants it'}")
            return
        response.stored = True

    def store(self, id, content):
        """Add an object to the replies that lack it; how many they are."""
        wanted = [each for each in self.replies if id in each.missing]
        for reply in wanted:
            reply.missing.remove(id)
            reply.objects[id] = content
            if not reply.missing:
                self.complete(reply)
        return len(wanted)


def reply_to(message):
    """The id of the message that this one answers; the field has had two names."""
    its = message.metadata
    for name in ("reply_to_message_id", "reply_to_message"):
        if name in its.DESCRIPTOR.fields_by_name:
            return getattr(its, name)
    raise AssertionError("a reply does not say what it answers")


def check_object(id, content):
    """What is wrong with an object, or None."""
    if hashlib.sha256(content).hexdigest() != id:
        return f"its hash is not {id}"
    head, divider, body = content.partition(b"\0")
    parts = head.decode(errors="replace").split(" ")
    if not divider or len(parts) != 3:
        return f"the head {head[:80]!r} has not three parts"
    if parts[0] not in OBJECT_TYPES:
        return f"it is a {parts[0]}"
    if not parts[2].isdigit() or int(parts[2]) != len(body):
        return f"it has {len(body)} bytes, the head says {parts[2]}"
    for child in parts[1].split(",") if parts[1] else ():
        if len(child) != 64 or set(child) - set("0123456789abcdef"):
            return f"{child!r} is no id"
    return None
