"""A stand-in for the SuperLink (Fleet API over HTTP, Flower 1.40 and later) that notes when each call
came. Run by the python of such a release. Messages and their objects are made before they are sent
and read after they have come, so that what is measured is the node's work."""

import hashlib
import time

from flwr.app import ArrayRecord, ConfigRecord, RecordDict
from flwr.common.serde import message_from_proto
from flwr.compat.common.recorddict_compat import fitins_to_recorddict
from flwr.proto import fab_pb2, fleet_pb2, message_pb2, run_pb2
from flwr.supercore.inflatable.inflatable_object import (
    get_all_nested_objects,
    get_object_tree,
    no_object_id_recompute,
)
from flwr.supercore.inflatable.inflatable_utils import inflate_object_from_contents

from .http_server import Server
from .standin import FIT, StandIn

PREFIX = "/v1/fleet/"
OBJECT_ID, OBJECT_CONTENT = 3, 4  # fields of PushObjectRequest


def varint(data, at):
    """(the number at this place, the place behind it)"""
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at


def fields(data):
    """(number, start, end) of each field of a message, without a copy of it."""
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        if key & 7 == 0:
            _, end = varint(data, at)
        else:  # nothing but numbers and bytes is in what is read here
            size, at = varint(data, at)
            end = at + size
        yield key >> 3, at, end
        at = end


def ids_of(tree):
    for child in tree.children:
        yield from ids_of(child)
    yield tree.object_id


class Reply:
    def __init__(self, message, tree):
        self.message = message
        self.root = tree.object_id if tree else None
        self.wanted = set(ids_of(tree)) if tree else set()
        self.objects = {}  # id -> its bytes


class HttpStandIn(StandIn):
    def __init__(self, fab_hash, fab_content):
        super().__init__(fab_hash, fab_content)
        self.coming = []  # replies that lack objects
        self.objects = {}  # id -> the answer to PullObject
        self.bulk = {}  # the same for arrays, which are sent again and again
        self.kept = self.arrays = None
        self.methods = {PREFIX + name.replace("_", "-"): name for name in CALLS}
        self.server = Server(self.answer)
        self.port = self.server.port
        self.close = self.server.close

    def forget(self):
        super().forget()
        self.coming = []

    # ---- messages ----

    def send(self, arrays=None, **order):
        """A message that is ready now; its id."""
        records = RecordDict({"do": ConfigRecord(order)})
        if arrays is not None:
            self.keep(arrays)
            records["bulk"] = self.arrays
        return self.hand_in("query", records)

    def send_fit(self):
        return self.hand_in("train", fitins_to_recorddict(FIT, True))

    def hand_in(self, message_type, records):
        bare = message_pb2.Message()
        self.fill(bare.metadata, message_type)
        bare.content.SetInParent()
        message = message_from_proto(bare)
        message.content = records
        with no_object_id_recompute():
            tree = get_object_tree(message)
            made = get_all_nested_objects(message)
            made = {
                id: answer_with(each.deflate()) for id, each in made.items() if id not in self.bulk
            }
        bare.metadata.message_id = tree.object_id
        answer = fleet_pb2.PullMessagesResponse(
            messages_list=[bare], message_object_trees=[tree]
        ).SerializeToString()
        with self.changed:
            self.objects = made | self.bulk
            self.waiting.append((tree.object_id, answer))
        return tree.object_id

    def keep(self, arrays):
        """Make the objects of these arrays, once."""
        if self.kept is not arrays:
            self.kept, self.arrays = arrays, ArrayRecord(arrays)
            with no_object_id_recompute():
                nested = get_all_nested_objects(self.arrays)
            self.bulk = {id: answer_with(each.deflate()) for id, each in nested.items()}

    def room(self, size):
        """For the objects of the next reply; the last ones are forgotten."""
        self.replies.clear()
        self.server.arena.reserve(size)

    # ---- the Fleet service ----

    def answer(self, path, body):
        name = self.methods.get(path)
        if name:
            return CALLS[name](self, body)
        return [b""] if path == "/health" else None

    def register_node(self, body):
        answer = fleet_pb2.RegisterNodeFleetResponse(node_id=self.new_node())
        return [answer.SerializeToString()]

    def activate_node(self, body):
        self.node_registered()
        return [fleet_pb2.ActivateNodeResponse(node_id=self.node_id).SerializeToString()]

    def nothing(self, body):
        return [b""]

    def send_node_heartbeat(self, body):
        return [b"\x08\x01"]  # success

    def get_run(self, body):
        return [run_pb2.GetRunResponse(run=self.run).SerializeToString()]

    def get_fab(self, body):
        return [fab_pb2.GetFabResponse(fab=self.fab).SerializeToString()]

    def pull_messages(self, body):
        return [self.hand_out()]

    def pull_object(self, body):
        request = message_pb2.PullObjectRequest.FromString(bytes(body))
        return self.objects.get(request.object_id, [b""])

    def push_messages(self, body):
        request = fleet_pb2.PushMessagesRequest.FromString(bytes(body))
        message = request.messages_list[0]
        trees = request.message_object_trees
        reply = Reply(message, trees[0] if trees else None)
        answer = fleet_pb2.PushMessagesResponse(
            results={"": 0}, objects_to_push=reply.wanted, session_id="bench"
        )
        with self.changed:
            self.coming.append(reply)
        self.look()
        return [answer.SerializeToString()]

    def push_object(self, body):
        parts = {number: (start, end) for number, start, end in fields(body)}
        start, end = parts[OBJECT_ID]
        id = bytes(body[start:end]).decode()
        start, end = parts[OBJECT_CONTENT]
        with self.changed:
            for reply in self.coming:
                if id in reply.wanted:
                    reply.objects[id] = body[start:end]
        self.look()
        return [b"\x08\x01"]  # stored

    def look(self):
        """Has all of a reply come? Told before the call is answered: the next message is then ready."""
        came = time.time()
        with self.changed:
            whole = [each for each in self.coming if len(each.objects) == len(each.wanted)]
            for reply in whole:
                self.coming.remove(reply)
                self.replies[reply.message.metadata.reply_to_message_id] = (came, reply)
            self.changed.notify_all()
        if whole and self.on_reply:
            self.on_reply(came)

    # ---- afterwards ----

    def check(self, programs, reply):
        if reply.message.HasField("error"):
            raise RuntimeError(f"{programs}: {reply.message.error}")
        for id, content in reply.objects.items():
            if hashlib.sha256(content).hexdigest() != id:
                raise RuntimeError(f"{programs}: object {id} is not what it is called")

    def has_arrays(self, reply):
        """Did the arrays that were sent last come back as they were? What is equal has equal ids."""
        return set(self.bulk) <= set(reply.objects)

    def times(self, reply):
        """When the app began and ended."""
        objects = {id: bytes(content) for id, content in reply.objects.items()}
        times = inflate_object_from_contents(reply.root, objects).content["times"]
        return times["began"], times["ended"]


def answer_with(content):
    """PullObjectResponse: found, available, content; the content as it is."""
    size = len(content)
    tag = bytearray(b"\x08\x01\x10\x01\x1a")
    while size > 127:
        tag.append(size & 127 | 128)
        size >>= 7
    tag.append(size)
    return [bytes(tag), content]


CALLS = {
    "register_node": HttpStandIn.register_node,
    "activate_node": HttpStandIn.activate_node,
    "deactivate_node": HttpStandIn.nothing,
    "unregister_node": HttpStandIn.nothing,
    "send_node_heartbeat": HttpStandIn.send_node_heartbeat,
    "get_run": HttpStandIn.get_run,
    "get_fab": HttpStandIn.get_fab,
    "pull_messages": HttpStandIn.pull_messages,
    "pull_object": HttpStandIn.pull_object,
    "confirm_message_received": HttpStandIn.nothing,
    "push_messages": HttpStandIn.push_messages,
    "push_object": HttpStandIn.push_object,
}
