"""The Fleet API of the Flower that this python has, once plain and once with each certificate.

Prints "directory PATH" (of the certificates) and a line "name HOST:PORT" for each; ends with its stdin.
"""

import concurrent.futures
import os
import shutil
import socket
import sys
import tempfile
import threading

os.environ["FLWR_TELEMETRY_ENABLED"] = "0"
os.environ["FLWR_DISABLE_UPDATE_CHECK"] = "1"

import certificates

LEAVES = ("good", "name", "expired", "future")


def serve_http(directory):
    """1.40 and later: the program's own application, under the program's own server."""
    import uvicorn
    from flwr.superlink.main import create_app

    app = create_app()
    for leaf in ("plain", *LEAVES):
        tls = {} if leaf == "plain" else {
            "ssl_keyfile": f"{directory}/{leaf}.key", "ssl_certfile": f"{directory}/{leaf}.pem"}
        sock = socket.create_server(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app=app, log_level="critical", lifespan="off", **tls))
        threading.Thread(target=server.run, kwargs={"sockets": [sock]}, daemon=True).start()
        print(f"{leaf} 127.0.0.1:{sock.getsockname()[1]}", flush=True)
    return app


def serve_grpc(directory):
    """Before: the real servicer with the credentials that flower-superlink makes."""
    import grpc
    from flwr.proto.fleet_pb2_grpc import add_FleetServicer_to_server
    from flwr.server.superlink.ffs.ffs_factory import FfsFactory
    from flwr.server.superlink.fleet.grpc_rere.fleet_servicer import FleetServicer
    from flwr.server.superlink.linkstate import LinkStateFactory

    def read(name):
        with open(f"{directory}/{name}", "rb") as file:
            return file.read()

    server = grpc.server(concurrent.futures.ThreadPoolExecutor(max_workers=4))
    files = FfsFactory(tempfile.mkdtemp(dir=directory))
    add_FleetServicer_to_server(FleetServicer(LinkStateFactory(":flwr-in-memory-state:"), files), server)
    ports = {"plain": server.add_insecure_port("127.0.0.1:0")}
    for leaf in LEAVES:
        pair = (read(f"{leaf}.key"), read(f"{leaf}.pem"))
        credentials = grpc.ssl_server_credentials([pair], read("ca.pem"), False)
        ports[leaf] = server.add_secure_port("127.0.0.1:0", credentials)
    server.start()
    for leaf, port in ports.items():
        print(f"{leaf} 127.0.0.1:{port}", flush=True)
    return server


def main():
    directory = tempfile.mkdtemp()
    os.environ["FLWR_HOME"] = directory
    certificates.make(directory)
    print(f"directory {directory}", flush=True)
    try:
        import flwr.superlink.main
        serve = serve_http
    except ImportError:
        serve = serve_grpc
    kept = serve(directory)
    sys.stdin.read()
    shutil.rmtree(directory)
    # Not in good order: uvicorn would wait half a minute for connections with TLS that are idle.
    os._exit(0 if kept else 1)


main()
