"""What a SuperLink knows and answers: runs, FABs, messages to hand out, the replies that came. What
carries it is elsewhere (grpc_link.py, http_link.py)."""

import threading
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field

from federation.processes import Late

from .fab import Fab
from .parcel import check_object, ids_of

OBJECTS = {
    "SendNodeHeartbeat": ("SendNodeHeartbeatRequest", "SendNodeHeartbeatResponse"),
    "PullObject": ("PullObjectRequest", "PullObjectResponse"),
    "PushObject": ("PushObjectRequest", "PushObjectResponse"),
    "ConfirmMessageReceived": ("ConfirmMessageReceivedRequest", "ConfirmMessageReceivedResponse"),
}
BOTH = {
    "PullMessages": ("PullMessagesRequest", "PullMessagesResponse"),
    "PushMessages": ("PushMessagesRequest", "PushMessagesResponse"),
    "GetRun": ("GetRunRequest", "GetRunResponse"),
    "GetFab": ("GetFabRequest", "GetFabResponse"),
}
CREATE = {
    "CreateNode": ("CreateNodeRequest", "CreateNodeResponse"),
    "DeleteNode": ("DeleteNodeRequest", "DeleteNodeResponse"),
}
METHODS = {
    "A": {**CREATE, **BOTH, "Ping": ("PingRequest", "PingResponse")},
    "B": {**CREATE, **BOTH, **OBJECTS},
    "C": {
        **BOTH,
        **OBJECTS,
        "RegisterNode": ("RegisterNodeFleetRequest", "RegisterNodeFleetResponse"),
        "ActivateNode": ("ActivateNodeRequest", "ActivateNodeResponse"),
        "DeactivateNode": ("DeactivateNodeRequest", "DeactivateNodeResponse"),
        "UnregisterNode": ("UnregisterNodeFleetRequest", "UnregisterNodeFleetResponse"),
    },
}


@dataclass
class Refusal(Exception):
    """A call that is answered with a status: gRPC's name of it, and what Flower's errors have."""

    status: str
    text: str = ""
    code: int | None = None  # Flower's
    http: int | None = None  # another HTTP status than the twin of status


@dataclass
class Raw:
    """Bytes in place of the response message. Over HTTP: head in place of the right one; stays: the
    connection is not ended behind it. By the adapter: name or container in place of the right one."""

    body: bytes
    head: bytes | None = None
    stays: bool = False
    name: str | None = None
    container: bytes | None = None


class Never(Exception):
    """No answer, for as long as the caller waits."""


@dataclass
class Reply:
    message: object
    tree: object = None
    missing: set = field(default_factory=set)  # ids that were not pushed yet
    objects: dict = field(default_factory=dict)
    came: float = 0.0


class Call:
    """One call of the node; answer() is what an honest SuperLink says to it."""

    def __init__(self, link, method, request):
        self.link, self.method, self.request = link, method, request

    def answer(self):
        with self.link.changed:
            response = self.link.response(self.method)
            getattr(self.link, self.method)(self.request, response)
            return response


class Link:
    """Scripts lie in its place: script(method, step, ...) has the next calls of a method answered
    by step(call), one each; a step gives a response message or a Raw, or raises Refusal or Never."""

    def __init__(self, dialect, protos, create_protos, maker):
        self.dialect = dialect
        self.protos = protos
        self.create_protos = create_protos  # CreateNode and DeleteNode are only in the oldest
        self.fabs = {}  # run id -> its Fab, one of its own for each
        self.maker = maker
        self.methods = METHODS[dialect]
        self.changed = threading.Condition(threading.RLock())
        self.closing = threading.Event()
        self.scripts = {}
        self.calls = Counter()
        self.node_id = 0
        self.keys = {}  # public key -> node id
        self.online = False
        self.waiting = []
        self.parcels = {}
        self.handed_out = {}  # message id -> Parcel
        self.replies = []  # all that came, in order
        self.sessions = {}
        self.wrong = []  # what the node did that no node should

    # ---- for tests ----

    def send(self, **what):
        """Have a good message wait to be pulled; its Parcel."""
        return self.hand_in(self.maker.make(self.node_id, **what))

    def hand_in(self, parcel):
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
                raise Late(f"the evil SuperLink has waited {seconds} s for {what}: {self.calls}")

    def wait_online(self, seconds=30):
        self.wait(lambda: self.online, "a node", seconds)

    def wait_calls(self, method, more, seconds=30):
        """So many more calls of a method."""
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

    # ---- for what carries it ----

    def types(self, method):
        protos = self.create_protos if method in CREATE else self.protos
        return [getattr(protos, name) for name in self.methods[method]]

    def response(self, method):
        return self.types(method)[1]()

    def take(self, method, body):
        """A call: a Raw. Refusal and Never as raised."""
        request = self.types(method)[0].FromString(body)
        call = Call(self, method, request)
        with self.changed:
            steps = self.scripts.get(method)
            step = steps.pop(0) if steps else Call.answer
            self.calls[method] += 1
            self.changed.notify_all()
        answer = step(call)
        return answer if isinstance(answer, Raw) else Raw(answer.SerializeToString())

    # ---- what an honest one answers; called with the lock ----

    def register(self, key):
        if key in self.keys:
            raise Refusal("FAILED_PRECONDITION", "Public key already in use", 23)
        self.keys[key] = uuid.uuid4().int >> 65 | 1
        return self.keys[key]

    def enter(self, node_id):
        self.node_id, self.online = node_id, True
        self.changed.notify_all()

    def leave(self):
        self.online = False
        self.changed.notify_all()

    def CreateNode(self, request, response):
        response.node.node_id = self.register(uuid.uuid4())
        self.enter(response.node.node_id)

    def DeleteNode(self, request, response):
        self.leave()

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

    def DeactivateNode(self, request, response):
        self.leave()

    def UnregisterNode(self, request, response):
        self.leave()

    def GetRun(self, request, response):
        response.run.run_id = request.run_id
        response.run.fab_id = "flwr-native/evil"
        response.run.fab_version = "1.0.0"
        fab = self.fabs.setdefault(request.run_id, Fab(f"# of run {request.run_id}\n"))
        response.run.fab_hash = fab.hash

    def GetFab(self, request, response):
        fab = self.fabs[request.run_id]
        response.fab.hash_str = fab.hash
        response.fab.content = fab.content

    def PullMessages(self, request, response):
        if self.waiting:
            self.hand_out(self.waiting.pop(0), response)

    def hand_out(self, parcel, response):
        self.handed_out[parcel.id] = parcel
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
        reply = Reply(request.messages_list[0], came=time.time())
        if reply_to(reply.message) and reply_to(reply.message) not in self.parcels:
            self.wrong.append(f"answers {reply_to(reply.message)}, which nobody sent")
        its = reply.message.metadata
        before = [each for each in self.replies if trees and each.message.metadata == its]
        if before:  # announced again: what was not stored yet is asked for
            reply = before[0]
        elif trees:
            reply.tree = trees[0]
            reply.missing = set(ids_of(reply.tree))
        if trees:
            response.objects_to_push.extend(sorted(reply.missing))
            if "session_id" in response.DESCRIPTOR.fields_by_name:
                response.session_id = uuid.uuid4().hex
                self.sessions[response.session_id] = reply
        if not before:
            self.replies.append(reply)
        response.results[""] = 0
        self.changed.notify_all()

    def PushObject(self, request, response):
        wrong = check_object(request.object_id, request.object_content)
        wanted = [each for each in self.replies if request.object_id in each.missing]
        if wrong or not wanted:
            self.wrong.append(f"pushes object {request.object_id}: {wrong or 'nobody wants it'}")
            return
        session = getattr(request, "session_id", "")
        if session and session not in self.sessions:
            self.wrong.append(f"pushes an object in session {session}, which there is not")
        for reply in wanted:
            reply.missing.remove(request.object_id)
            reply.objects[request.object_id] = request.object_content
        response.stored = True
        self.changed.notify_all()


def reply_to(message):
    """The id of the message that this one answers; the field has had two names."""
    its = message.metadata
    for name in ("reply_to_message_id", "reply_to_message"):
        if name in its.DESCRIPTOR.fields_by_name:
            return getattr(its, name)
    raise AssertionError("a reply does not say what it answers")


