"""A stand-in for the SuperLink (Fleet API of Flower 1.15) that notes when each call came."""

import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import grpc
from flwr.common import ConfigsRecord, RecordSet
from flwr.common.serde import recordset_to_proto
from flwr.proto import fab_pb2, fleet_pb2, message_pb2, node_pb2, run_pb2
from flwr.proto.fleet_pb2_grpc import FleetServicer, add_FleetServicer_to_server

from .processes import Late

SUPERLINK_NODE_ID = 1
RUN_ID = 7


class StandIn(FleetServicer):
    """One node, one run; messages are made by send() and replies come out of reply()."""

    def __init__(self, fab_hash, fab_content):
        self.fab = fab_pb2.Fab(hash_str=fab_hash, content=fab_content)
        self.changed = threading.Condition()
        self.node_id = 0
        self.registered = None  # when CreateNode came, by time.time()
        self.waiting = []
        self.pulled = {}  # message id -> when it was handed out
        self.replies = {}  # message id -> (when, the reply)
        self.on_reply = None
        self.server = grpc.server(
            ThreadPoolExecutor(8), options=[("grpc.max_receive_message_length", -1)]
        )
        add_FleetServicer_to_server(self, self.server)
        self.port = self.server.add_insecure_port("127.0.0.1:0")
        self.server.start()

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def close(self):
        self.server.stop(0).wait()

    def forget(self):
        """Ready for the next node."""
        with self.changed:
            self.registered, self.waiting, self.on_reply = None, [], None

    def wait(self, condition, what, seconds=60):
        with self.changed:
            if not self.changed.wait_for(condition, seconds):
                raise Late(f"the stand-in SuperLink has waited {seconds} s for {what}")

    def wait_registered(self):
        self.wait(lambda: self.registered, "CreateNode")
        return self.registered

    def send(self, **order):
        """A message that is ready now; its id."""
        records = RecordSet(configs_records={"do": ConfigsRecord(order)})
        meta = message_pb2.Metadata(
            run_id=RUN_ID,
            message_id=str(uuid.uuid4()),
            src_node_id=SUPERLINK_NODE_ID,
            dst_node_id=self.node_id,
            group_id="1",
            ttl=3600.0,
            message_type="query",
            created_at=time.time(),
        )
        message = message_pb2.Message(metadata=meta, content=recordset_to_proto(records))
        with self.changed:
            self.waiting.append(message)
        return meta.message_id

    def reply(self, message_id, seconds=60):
        """(when it came, the reply)"""
        self.wait(lambda: message_id in self.replies, "a reply", seconds)
        return self.replies[message_id]

    # ---- the Fleet service; what is not here is answered with UNIMPLEMENTED ----

    def CreateNode(self, request, context):
        with self.changed:
            self.registered = time.time()
            self.node_id = uuid.uuid4().int >> 65 | 1
            self.changed.notify_all()
        return fleet_pb2.CreateNodeResponse(node=node_pb2.Node(node_id=self.node_id))

    def DeleteNode(self, request, context):
        return fleet_pb2.DeleteNodeResponse()

    def Ping(self, request, context):
        return fleet_pb2.PingResponse(success=True)

    def GetRun(self, request, context):
        run = run_pb2.Run(
            run_id=RUN_ID,
            fab_id="flwr-native/tiny",
            fab_version="1.0.0",
            fab_hash=self.fab.hash_str,
        )
        return run_pb2.GetRunResponse(run=run)

    def GetFab(self, request, context):
        return fab_pb2.GetFabResponse(fab=self.fab)

    def PullMessages(self, request, context):
        with self.changed:
            messages = [self.waiting.pop(0)] if self.waiting else []
            for message in messages:
                self.pulled[message.metadata.message_id] = time.time()
        return fleet_pb2.PullMessagesResponse(messages_list=messages)

    def PushMessages(self, request, context):
        came = time.time()
        for message in request.messages_list:
            with self.changed:
                self.replies[message.metadata.reply_to_message] = (came, message)
                self.changed.notify_all()
            if self.on_reply:  # before the call is answered: the next message is then ready
                self.on_reply(came)
        return fleet_pb2.PushMessagesResponse(results={"": 0})
