"""A StandIn whose messages are objects, run by the python of a release that has them (Flower 1.40 and
later)."""

import hashlib
import time

from flwr.app import ArrayRecord
from flwr.compat.common.recorddict_compat import fitins_to_recorddict
from flwr.proto.message_pb2 import PullObjectResponse, PushObjectRequest, PushObjectResponse
from flwr.supercore.inflatable.inflatable_object import (
    get_all_nested_objects,
    no_object_id_recompute,
)
from flwr.supercore.inflatable.inflatable_utils import inflate_object_from_contents
from google.protobuf.internal.decoder import _DecodeVarint

from .standin import FIT, StandIn
from .superlink.http_link import HttpLink
from .superlink.link import Raw
from .superlink.parcel import make, make_of, metadata

STORED = Raw(PushObjectResponse(stored=True).SerializeToString())


def fields(data):
    """(number, content) of each field of a message, without a copy of it; numbers are left out."""
    at = 0
    while at < len(data):
        key, at = _DecodeVarint(data, at)
        value, at = _DecodeVarint(data, at)
        if key & 7:  # the value is a number of bytes
            yield key >> 3, data[at : at + value]
            at += value


def answers_with(objects):
    """What PullObject answers: id -> Raw."""
    return {
        id: Raw(
            PullObjectResponse(
                object_found=True, object_available=True, object_content=content
            ).SerializeToString()
        )
        for id, content in objects.items()
    }


class ObjectsStandIn(StandIn):
    def __init__(self, fab):
        super().__init__("C", HttpLink, fab)
        self.answers = {}
        self.bulk = {}  # those of arrays, which are sent again and again
        self.kept = self.arrays = None

    def make(self, arrays, order):
        if arrays is not None and self.kept is not arrays:
            self.kept, self.arrays = arrays, ArrayRecord(arrays)
            with no_object_id_recompute():
                nested = get_all_nested_objects(self.arrays)
            self.bulk = answers_with({id: each.deflate() for id, each in nested.items()})
        its = metadata(self.protos, self.node_id, message_id="")
        parcel = make(its, order, self.arrays if arrays is not None else None, self.bulk)
        self.answers = answers_with(parcel.objects) | self.bulk
        return parcel

    def make_fit(self):
        its = metadata(self.protos, self.node_id, message_id="", message_type="train")
        parcel = make_of(its, fitins_to_recorddict(FIT, True))
        self.answers = answers_with(parcel.objects)
        return parcel

    def take(self, method, body):
        """A large object that comes is not decoded: it would cost copies."""
        if method != "PushObject":
            return super().take(method, body)
        came = time.time()
        parts = dict(fields(body))
        with self.changed:
            self.came = came
            id = bytes(parts[PushObjectRequest.OBJECT_ID_FIELD_NUMBER]).decode()
            self.store(id, parts[PushObjectRequest.OBJECT_CONTENT_FIELD_NUMBER])
        return STORED

    def PullObject(self, request, response):
        return self.answers.get(request.object_id)

    def check(self, programs, reply):
        super().check(programs, reply)
        for id, content in reply.objects.items():
            if hashlib.sha256(content).hexdigest() != id:
                raise RuntimeError(f"{programs}: object {id} is not what it is called")

    def has_arrays(self, reply):
        """Did the arrays that were sent last come back as they were? What is equal has equal ids."""
        return set(self.bulk) <= set(reply.objects)

    def times(self, reply):
        """When the app began and ended."""
        objects = {id: bytes(content) for id, content in reply.objects.items()}
        times = inflate_object_from_contents(reply.tree.object_id, objects).content["times"]
        return times["began"], times["ended"]
