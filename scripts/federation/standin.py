"""What the stand-ins for a SuperLink have in common, whatever carries them (standin_fleet.py,
standin_http.py): one node, one run, and when each call came."""

import threading
import time
import uuid

import numpy as np
from flwr.common import FitIns, ndarrays_to_parameters
from flwr.proto import fab_pb2, run_pb2

from .processes import Late

SUPERLINK_NODE_ID = 1
RUN_ID = 7
FIT = FitIns(ndarrays_to_parameters([np.zeros(4, dtype=np.float32)]), {})  # of a client


class StandIn:
    """Messages are made by send(), or by send_fit() for a client, and replies come out of reply(). A
    subclass has these and port."""

    def __init__(self, fab_hash, fab_content):
        self.fab = fab_pb2.Fab(hash_str=fab_hash, content=fab_content)
        self.run = run_pb2.Run(
            run_id=RUN_ID, fab_id="flwr-native/tiny", fab_version="1.0.0", fab_hash=fab_hash
        )
        self.changed = threading.Condition()
        self.node_id = 0
        self.registered = None  # when the node did, by time.time()
        self.waiting = []  # (message id, the answer that hands it out)
        self.pulled = {}  # message id -> when it was handed out
        self.replies = {}  # message id -> (when all of it was here, the reply)
        self.on_reply = None

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def forget(self):
        """Ready for the next node."""
        with self.changed:
            self.registered, self.waiting, self.on_reply = None, [], None

    def wait(self, condition, what, seconds=60):
        with self.changed:
            if not self.changed.wait_for(condition, seconds):
                raise Late(f"the stand-in SuperLink has waited {seconds} s for {what}")

    def wait_registered(self):
        self.wait(lambda: self.registered, "the node")
        return self.registered

    def reply(self, message_id, seconds=60):
        """(when all of it was here, the reply)"""
        self.wait(lambda: message_id in self.replies, "a reply", seconds)
        return self.replies[message_id]

    # ---- for subclasses ----

    def fill(self, meta, message_type="query"):
        """The metadata of a message for the node, but for its id."""
        meta.run_id, meta.group_id, meta.message_type = RUN_ID, "1", message_type
        meta.src_node_id, meta.dst_node_id = SUPERLINK_NODE_ID, self.node_id
        meta.ttl, meta.created_at = 3600.0, time.time()

    def new_node(self):
        with self.changed:
            self.node_id = uuid.uuid4().int >> 65 | 1
            return self.node_id

    def node_registered(self):
        with self.changed:
            self.registered = time.time()
            self.changed.notify_all()

    def hand_out(self):
        """What PullMessages is answered with."""
        with self.changed:
            if not self.waiting:
                return b""
            message_id, answer = self.waiting.pop(0)
            self.pulled[message_id] = time.time()
            return answer
