"""What rpc_bench.c does, by grpcio, for calls.py:
    serve [CHAIN KEY]                 serves, and prints the port
    ping TARGET SECONDS [CA]          prints the time of a unary call with 16 bytes, in microseconds
    pull|push TARGET MESSAGES [CA]    so many of 1 MiB from the server, or to it: prints MiB/s
"""

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc

MIB = bytes(1 << 20)
WARM = 64
SERVICE = "bench.Calls"


def ping(request, context):
    return request


def pull(request, context):
    for _ in range(int(request)):
        yield MIB


def push(requests, context):
    return b"%d" % sum(map(len, requests))


def serve(*files):
    server = grpc.server(ThreadPoolExecutor(8), options=[("grpc.max_receive_message_length", -1)])
    methods = {
        "Ping": grpc.unary_unary_rpc_method_handler(ping),
        "Pull": grpc.unary_stream_rpc_method_handler(pull),
        "Push": grpc.stream_unary_rpc_method_handler(push),
    }
    handler = grpc.method_handlers_generic_handler(SERVICE, methods)
    server.add_generic_rpc_handlers((handler,))
    if files:
        chain, key = (Path(each).read_bytes() for each in files)
        credentials = grpc.ssl_server_credentials([(key, chain)])
        port = server.add_secure_port("127.0.0.1:0", credentials)
    else:
        port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print("port", port, flush=True)
    server.wait_for_termination()


def ping_all(channel, seconds):
    call = channel.unary_unary(f"/{SERVICE}/Ping")

    def pings(seconds):
        number, start = 0, time.monotonic()
        while (now := time.monotonic()) < start + seconds:
            call(b"0123456789abcdef")
            number += 1
        return 1e6 * (now - start) / number

    pings(0.3)
    return pings(float(seconds))


def pull_all(channel, messages):
    call = channel.unary_stream(f"/{SERVICE}/Pull")

    def pulled(number):
        assert sum(map(len, call(b"%d" % number))) == number * len(MIB)

    return measure(pulled, int(messages))


def push_all(channel, messages):
    call = channel.stream_unary(f"/{SERVICE}/Push")

    def pushed(number):
        assert int(call(MIB for _ in range(number))) == number * len(MIB)

    return measure(pushed, int(messages))


def measure(stream, messages):
    stream(WARM)
    start = time.monotonic()
    stream(messages)
    return messages / (time.monotonic() - start)


def main(what, *words):
    if what == "serve":
        return serve(*words)
    target, amount, *files = words
    if files:
        credentials = grpc.ssl_channel_credentials(Path(files[0]).read_bytes())
        channel = grpc.secure_channel(target, credentials)
    else:
        channel = grpc.insecure_channel(target)
    print({"ping": ping_all, "pull": pull_all, "push": push_all}[what](channel, amount))
    return None


if __name__ == "__main__":
    main(*sys.argv[1:])
