"""A Link over gRPC, as Flower's SuperLinks to 1.39 have it: as such, or by the adapter."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor

import grpc
from flwr.proto.grpcadapter_pb2 import MessageContainer

from .link import Carrier, Never, Raw, Refusal, names_of

SERVICE = "/flwr.proto.Fleet/"
ADAPTER = "/flwr.proto.GrpcAdapter/SendReceive"
CODES = {code.name: code for code in grpc.StatusCode}


class GrpcLink(Carrier, grpc.GenericRpcHandler):
    def __init__(self, link, certificates=None):
        super().__init__(link)
        self.server = grpc.server(
            ThreadPoolExecutor(32),
            handlers=(self,),
            options=[
                ("grpc.max_receive_message_length", -1),
                ("grpc.max_send_message_length", -1),
                ("grpc.so_reuseport", 0),
            ],
        )
        if certificates:
            files = (certificates.key.read_bytes(), certificates.certificate.read_bytes())
            credentials = grpc.ssl_server_credentials([files])
            self.port = self.server.add_secure_port("127.0.0.1:0", credentials)
        else:
            self.port = self.server.add_insecure_port("127.0.0.1:0")
        self.server.start()

    def close(self):
        self.link.closing.set()
        self.server.stop(0).wait()

    def service(self, details):
        method = details.method.removeprefix(SERVICE)
        if not details.method.startswith(SERVICE) or method not in self.link.methods:
            return None
        return grpc.unary_unary_rpc_method_handler(
            lambda body, context: self.handle(method, body, context).body
        )

    def handle(self, method, body, context):
        try:
            return self.link.take(method, body)
        except Refusal as refusal:
            context.abort(CODES[refusal.status], self.details(refusal))
        except Never:
            gone = threading.Event()
            if context.add_callback(gone.set):
                while not gone.wait(0.1) and not self.link.closing.is_set():
                    pass
            return Raw(b"")

    def details(self, refusal):
        if refusal.code is None:
            return refusal.text
        said = {"code": refusal.code, "public_message": refusal.text, "public_details": None}
        return json.dumps(said)


class AdapterLink(GrpcLink):
    """One method carries all others, and names their messages."""

    metadata = {"flower-package-name": "flwr", "flower-version": "1.39.0"}

    def __init__(self, link, certificates=None):
        self.by_request = {names_of(method)[0]: method for method in link.methods}
        super().__init__(link, certificates)

    def service(self, details):
        if details.method != ADAPTER:
            return None
        return grpc.unary_unary_rpc_method_handler(self.unwrap)

    def unwrap(self, body, context):
        container = MessageContainer.FromString(body)
        method = self.by_request.get(container.grpc_message_name)
        if not method:  # Flower's server raises an exception, which gRPC says like this.
            said = f"Invalid grpc_message_name: {container.grpc_message_name}"
            context.abort(grpc.StatusCode.UNKNOWN, f"Exception calling application: {said}")
        answer = self.handle(method, container.grpc_message_content, context)
        if answer.container is not None:
            return answer.container
        return self.wrap(answer.name or names_of(method)[1], answer.body)

    def wrap(self, response, content):
        return MessageContainer(
            metadata=self.metadata, grpc_message_name=response, grpc_message_content=content
        ).SerializeToString()

    def ready(self, method, body):
        return Raw(b"", container=self.wrap(names_of(method)[1], body))
