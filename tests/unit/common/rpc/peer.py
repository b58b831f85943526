"""The other end, by grpcio: a server of raw bytes (serve), or calls and their answers (call)."""

import sys
import threading
from concurrent import futures

import grpc

MAX = [("grpc.max_receive_message_length", 256 << 20), ("grpc.max_send_message_length", -1)]


def serve(target):
    """Serve until stdin ends."""

    def echo(request, context):
        return request

    def headers(request, context):
        for key, value in context.invocation_metadata():
            if key == request.decode():
                return value if isinstance(value, bytes) else value.encode()
        context.abort(grpc.StatusCode.NOT_FOUND, "no header of that name")

    def fail(request, context):
        number, words = request.decode().split(" ", 1)
        code = next(c for c in grpc.StatusCode if c.value[0] == int(number))
        context.abort(code, words)

    cancelled = threading.Event()

    def wait(request, context):
        context.add_callback(cancelled.set)
        cancelled.wait(30)
        return b""

    methods = {"Echo": echo, "Headers": headers, "Fail": fail, "Wait": wait}
    handlers = {name: grpc.unary_unary_rpc_method_handler(f) for name, f in methods.items()}
    server = grpc.server(futures.ThreadPoolExecutor(4), options=MAX)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("py.Service", handlers),))
    server.add_insecure_port(target)
    server.start()
    sys.stdin.read()
    server.stop(0).wait()


def pattern(size):
    return bytes(range(251)) * (size // 251) + bytes(range(size % 251))


def call(target):
    """Make every call, print "name: outcome" for each."""
    channel = grpc.insecure_channel(target, options=MAX)

    def run(name, method, body, metadata=(), stream=False, **options):
        path = "/test.Service/" + method
        try:
            if stream:
                answer = channel.stream_unary(path)(iter(body), timeout=20)
            else:
                answer = channel.unary_unary(path)(body, timeout=20, metadata=metadata, **options)
        except grpc.RpcError as error:
            print(f"{name}: {error.code().name} {error.details()}", flush=True)
            return
        same = answer == body
        print(f"{name}: {'same' if same else answer.decode(errors='replace')}", flush=True)

    run("empty", "Echo", b"")
    run("one", "Echo", b"x")
    run("large", "Echo", pattern(40 << 20))
    run("header", "Header", b"x-token", metadata=[("x-token", "from python")])
    run("binary", "Header", b"x-key-bin", metadata=[("x-key-bin", b"\x01bytes")])
    run("error", "Fail", bytes([5]) + "nicht gefunden: \u00e4".encode())
    run("too large", "Small", b"x" * 11)
    run("unknown", "Nothing", b"")
    run("unknown, large", "Nothing", bytes(8 << 20))
    run("refused, large", "Refuse", bytes(8 << 20))
    run("no message", "Echo", [], stream=True)
    run("compressed", "Echo", bytes(1 << 20), compression=grpc.Compression.Gzip)

    def stream(name, body, most=None):
        sizes = []
        call = channel.unary_stream("/test.Service/Stream")(body, timeout=20)
        try:
            for message in call:
                sizes.append(len(message))
                if len(sizes) == most:
                    call.cancel()
        except grpc.RpcError as error:
            sizes.append(error.code().name)
        print(f"{name}: {sizes}", flush=True)

    stream("stream of one", bytes([1]))
    stream("stream", bytes([5]))
    stream("stream, error", b"x")
    stream("stream, cancelled", bytes([200]), 2)
    channel.close()


if __name__ == "__main__":
    {"serve": serve, "call": call}[sys.argv[1]](sys.argv[2])
