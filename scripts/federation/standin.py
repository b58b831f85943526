"""A stand-in for the SuperLink (Fleet API of Flower 1.15) that notes when each call came."""

import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import grpc
from flwr.common import ConfigsRecord, ParametersRecord, RecordSet
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
        self.server.add_generic_rpc_handlers((self.bulk_methods(),))
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

    def send(self, arrays=None, **order):
        """A message that is ready now; its id."""
        records = RecordSet(configs_records={"do": ConfigsRecord(order)})
        if arrays:
            records.parameters_records["bulk"] = ParametersRecord(arrays, keep_input=True)
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
        answer = fleet_pb2.PullMessagesResponse(messages_list=[message]).SerializeToString()
        with self.changed:
            self.waiting.append((meta.message_id, answer))
        return meta.message_id

    def reply(self, message_id, seconds=60):
        """(when it came, the reply)"""
        self.wait(lambda: message_id in self.replies, "a reply", seconds)
        return self.replies[message_id]

    def check(self, programs, reply):
        if reply.HasField("error"):
            raise RuntimeError(f"{programs}: {reply.error}")

    def times(self, reply):
        """When the app began and ended."""
        times = reply.content.metrics["times"].data
        return times["began"].double, times["ended"].double

    def bulk_methods(self):
        """Messages as bytes, made before and read after: what is measured is the node's work."""
        methods = {"PullMessages": self.pull_bytes, "PushMessages": self.push_bytes}
        return grpc.method_handlers_generic_handler(
            "flwr.proto.Fleet",
            {name: grpc.unary_unary_rpc_method_handler(each) for name, each in methods.items()},
        )

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

    def pull_bytes(self, request, context):
        with self.changed:
            if not self.waiting:
                return b""
            message_id, answer = self.waiting.pop(0)
            self.pulled[message_id] = time.time()
            return answer

    def push_bytes(self, request, context):
        came = time.time()
        for message in fleet_pb2.PushMessagesRequest.FromString(request).messages_list:
            with self.changed:
                self.replies[message.metadata.reply_to_message] = (came, message)
                self.changed.notify_all()
            if self.on_reply:  # before the call is answered: the next message is then ready
                self.on_reply(came)
        return fleet_pb2.PushMessagesResponse(results={"": 0}).SerializeToString()
