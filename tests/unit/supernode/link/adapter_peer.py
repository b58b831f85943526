"""A server of the adapter, by grpcio and Flower's own container, that does what the content says.

Prints "address HOST:PORT"; ends with its stdin.
"""

import concurrent.futures
import sys
import threading

import grpc
from flwr.proto.grpcadapter_pb2 import MessageContainer

PATH = "/flwr.proto.GrpcAdapter/SendReceive"
METADATA = {"flower-package-name": "flwr", "flower-package-version": "1.15.2"}
gate = threading.Event()


def container(name="PullMessagesResponse", content=b"", metadata=METADATA):
    answer = MessageContainer(metadata=metadata, grpc_message_name=name, grpc_message_content=content)
    return answer.SerializeToString()


def answer(body, context):
    request = MessageContainer.FromString(body)
    what, _, rest = request.grpc_message_content.decode().partition(" ")
    if what == "echo":
        signed = any(key.startswith("flwr-") for key, _ in context.invocation_metadata())
        said = f"{request.grpc_message_name} {dict(request.metadata)} {signed} {rest}"
        name = request.grpc_message_name.replace("Request", "Response")
        return container(name, said.encode())
    if what == "version":
        return container(content=b"x", metadata={"flower-package-version": "9.9", "flower-version": "9.9"})
    if what == "name":
        return container(rest)
    if what == "exit":
        return container(rest, b"x", {**METADATA, "should-exit": "true"})
    if what == "stay":
        return container(content=b"x", metadata={"should-exit": "false", "exit": "true"})
    if what == "bytes":
        return bytes.fromhex(rest)
    if what == "large":
        return container(content=bytes(int(rest)))
    if what == "head":
        return container(metadata={str(n): "" for n in range(int(rest))})
    if what == "silent":
        gate.wait()
    code, _, words = rest.partition(" ")
    context.abort(grpc.StatusCode[code], words)


class Adapter(grpc.GenericRpcHandler):
    def service(self, details):
        if details.method == PATH:
            return grpc.unary_unary_rpc_method_handler(answer)
        return None


def main():
    options = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
    server = grpc.server(
        concurrent.futures.ThreadPoolExecutor(4), handlers=(Adapter(),), options=options
    )
    print(f"address 127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}", flush=True)
    server.start()
    sys.stdin.read()
    gate.set()
    server.stop(0).wait()


main()
