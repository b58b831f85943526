"""Stand-ins for the SuperLink (Fleet API of Flower 1.15) that note when each call came: one for each
transport. Messages are bytes, made before they are handed out and read after they came: what is
measured is the node's work."""

import re
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import grpc
from flwr.common import ConfigsRecord, ParametersRecord, RecordSet
from flwr.common.recordset_compat import fitins_to_recordset
from flwr.common.serde import recordset_to_proto
from flwr.proto import fab_pb2, fleet_pb2, grpcadapter_pb2, message_pb2, node_pb2, run_pb2

from .http_server import Server
from .standin import FIT, StandIn


class FleetStandIn(StandIn):
    """A subclass carries calls to answer()."""

    def __init__(self, fab_hash, fab_content):
        super().__init__(fab_hash, fab_content)
        self.kept = self.content = None

    def wrap(self, name, answer):
        """The answer to a call, as the transport has it."""
        return answer

    def send(self, arrays=None, **order):
        """A message that is ready now; its id."""
        if arrays is None or self.kept is not arrays:  # those are sent again and again
            records = RecordSet(configs_records={"do": ConfigsRecord(order)})
            if arrays:
                records.parameters_records["bulk"] = ParametersRecord(arrays, keep_input=True)
            self.kept, self.content = arrays, recordset_to_proto(records)
        return self.hand_in("query", self.content)

    def send_fit(self):
        return self.hand_in("train", recordset_to_proto(fitins_to_recordset(FIT, True)))

    def hand_in(self, message_type, content):
        meta = message_pb2.Metadata(message_id=str(uuid.uuid4()))
        self.fill(meta, message_type)
        message = message_pb2.Message(metadata=meta, content=content)
        answer = fleet_pb2.PullMessagesResponse(messages_list=[message]).SerializeToString()
        answer = self.wrap("PullMessages", answer)
        with self.changed:
            self.waiting.append((meta.message_id, answer))
        return meta.message_id

    def room(self, size):
        """For the next reply; the last ones are forgotten."""
        self.replies.clear()

    def check(self, programs, reply):
        if reply.HasField("error"):
            raise RuntimeError(f"{programs}: {reply.error}")

    def times(self, reply):
        """When the app began and ended."""
        times = reply.content.metrics["times"].data
        return times["began"].double, times["ended"].double

    # ---- the Fleet service ----

    def answer(self, name, came, request):
        """The answer to a call that came then, as bytes."""
        if name == "PullMessages":
            return self.hand_out() or self.wrap(name, b"")
        if name == "PushMessages":
            self.pushed(came, request)
            answer = fleet_pb2.PushMessagesResponse(results={"": 0})
        elif name == "CreateNode":
            answer = fleet_pb2.CreateNodeResponse(node=node_pb2.Node(node_id=self.new_node()))
            self.node_registered()
        else:
            answer = {
                "DeleteNode": fleet_pb2.DeleteNodeResponse(),
                "Ping": fleet_pb2.PingResponse(success=True),
                "GetRun": run_pb2.GetRunResponse(run=self.run),
                "GetFab": fab_pb2.GetFabResponse(fab=self.fab),
            }[name]
        return self.wrap(name, answer.SerializeToString())

    def pushed(self, came, request):
        for message in fleet_pb2.PushMessagesRequest.FromString(request).messages_list:
            with self.changed:
                self.replies[message.metadata.reply_to_message] = (came, message)
                self.changed.notify_all()
            if self.on_reply:  # before the call is answered: the next message is then ready
                self.on_reply(came)


CALLS = ("CreateNode", "DeleteNode", "Ping", "GetRun", "GetFab", "PullMessages", "PushMessages")


class GrpcStandIn(FleetStandIn):
    """grpc-rere; what is not in CALLS is answered with UNIMPLEMENTED."""

    SERVICE, METHODS = "flwr.proto.Fleet", CALLS

    def __init__(self, fab_hash, fab_content, certificates=None):
        super().__init__(fab_hash, fab_content)
        self.server = grpc.server(
            ThreadPoolExecutor(8), options=[("grpc.max_receive_message_length", -1)]
        )
        methods = {name: self.handler(name) for name in self.METHODS}
        handler = grpc.method_handlers_generic_handler(self.SERVICE, methods)
        self.server.add_generic_rpc_handlers((handler,))
        if certificates:
            files = (certificates.key.read_bytes(), certificates.certificate.read_bytes())
            credentials = grpc.ssl_server_credentials([files])
            self.port = self.server.add_secure_port("127.0.0.1:0", credentials)
        else:
            self.port = self.server.add_insecure_port("127.0.0.1:0")
        self.server.start()

    def close(self):
        self.server.stop(0).wait()

    def handler(self, name):
        return grpc.unary_unary_rpc_method_handler(
            lambda request, context: self.answer(name, time.time(), request)
        )


class AdapterStandIn(GrpcStandIn):
    """grpc-adapter: one method carries all of them."""

    SERVICE, METHODS = "flwr.proto.GrpcAdapter", ("SendReceive",)

    def handler(self, name):
        return grpc.unary_unary_rpc_method_handler(self.receive)

    def receive(self, request, context):
        came = time.time()
        container = grpcadapter_pb2.MessageContainer.FromString(request)
        name = container.grpc_message_name.removesuffix("Request")
        if name not in CALLS:
            context.abort(grpc.StatusCode.UNKNOWN, f"Invalid grpc_message_name: {name}")
        return self.answer(name, came, container.grpc_message_content)

    def wrap(self, name, answer):
        return grpcadapter_pb2.MessageContainer(
            grpc_message_name=f"{name}Response", grpc_message_content=answer
        ).SerializeToString()


class RestStandIn(FleetStandIn):
    """rest: the same calls at paths of HTTP."""

    def __init__(self, fab_hash, fab_content, certificates=None):
        super().__init__(fab_hash, fab_content)
        self.methods = {}
        for name in CALLS:
            words = re.sub(r"(?<=[a-z])(?=[A-Z])", "-", name)
            self.methods[f"/api/v0/fleet/{words.lower()}"] = name
        self.server = Server(self.carry, certificates)
        self.port = self.server.port
        self.close = self.server.close
        self.scheme = "https" if certificates else "http"

    @property
    def address(self):
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def room(self, size):
        super().room(size)
        self.server.arena.reserve(size)

    def carry(self, path, body):
        # Python's SuperNode has two slashes before some of them.
        name = self.methods.get(path.replace("//", "/"))
        return [self.answer(name, time.time(), bytes(body))] if name else None
