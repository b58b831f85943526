"""A stand-in for the SuperLink (Fleet API of Flower 1.15) that notes when each call came."""

import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import grpc
from flwr.common import ConfigsRecord, ParametersRecord, RecordSet
from flwr.common.serde import recordset_to_proto
from flwr.proto import fab_pb2, fleet_pb2, message_pb2, node_pb2, run_pb2
from flwr.proto.fleet_pb2_grpc import FleetServicer, add_FleetServicer_to_server

from .standin import StandIn


class GrpcStandIn(StandIn, FleetServicer):
    def __init__(self, fab_hash, fab_content):
        super().__init__(fab_hash, fab_content)
        self.server = grpc.server(
            ThreadPoolExecutor(8), options=[("grpc.max_receive_message_length", -1)]
        )
        self.server.add_generic_rpc_handlers((self.bulk_methods(),))
        add_FleetServicer_to_server(self, self.server)
        self.port = self.server.add_insecure_port("127.0.0.1:0")
        self.server.start()

    def close(self):
        self.server.stop(0).wait()

    def send(self, arrays=None, **order):
        """A message that is ready now; its id."""
        records = RecordSet(configs_records={"do": ConfigsRecord(order)})
        if arrays:
            records.parameters_records["bulk"] = ParametersRecord(arrays, keep_input=True)
        meta = message_pb2.Metadata(message_id=str(uuid.uuid4()))
        self.fill(meta)
        message = message_pb2.Message(metadata=meta, content=recordset_to_proto(records))
        answer = fleet_pb2.PullMessagesResponse(messages_list=[message]).SerializeToString()
        with self.changed:
            self.waiting.append((meta.message_id, answer))
        return meta.message_id

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
        node = node_pb2.Node(node_id=self.new_node())
        self.node_registered()
        return fleet_pb2.CreateNodeResponse(node=node)

    def DeleteNode(self, request, context):
        return fleet_pb2.DeleteNodeResponse()

    def Ping(self, request, context):
        return fleet_pb2.PingResponse(success=True)

    def GetRun(self, request, context):
        return run_pb2.GetRunResponse(run=self.run)

    def GetFab(self, request, context):
        return fab_pb2.GetFabResponse(fab=self.fab)

    def pull_bytes(self, request, context):
        return self.hand_out()

    def push_bytes(self, request, context):
        came = time.time()
        for message in fleet_pb2.PushMessagesRequest.FromString(request).messages_list:
            with self.changed:
                self.replies[message.metadata.reply_to_message] = (came, message)
                self.changed.notify_all()
            if self.on_reply:  # before the call is answered: the next message is then ready
                self.on_reply(came)
        return fleet_pb2.PushMessagesResponse(results={"": 0}).SerializeToString()
