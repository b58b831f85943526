"""What calls cost: the legacy stream under Flower's own server (bidi_peer.py), and gRPC itself: grpcio's
client and server beside common/rpc's (rpc_peer.py, rpc_bench.c). Programs of ours that are not built
have no figures."""

import json
import os
import sys

from .processes import Guard, free_ports

SECONDS = 3  # of each kind of small call
MESSAGES = 1024  # of 1 MiB
ADDRESS = "ADDRESS"  # in a command line: where the server is

STREAM = {
    "get_properties": "get_properties and its answer",
    "fit": "fit of four numbers and its answer",
}
STREAMING = {
    "pull": "1 MiB messages from the server",
    "push": "1 MiB messages to the server",
}
SECURITY = ("plain", "TLS")

# figure, unit, what is to be reached
CALLS = [
    *(
        (f"legacy stream, {security}: {text}", "1/s", "2 times Python's")
        for security in SECURITY
        for text in STREAM.values()
    ),
    *(
        each
        for security in SECURITY
        for each in [
            (f"gRPC, {security}: unary ping", "us", "1/2 of grpcio's"),
            *(
                (f"gRPC, {security}: {text}", "MiB/s", "3 times grpcio's")
                for text in STREAMING.values()
            ),
        ]
    ),
]


def built(bench, name):
    """Our program, among those that are not installed."""
    return bench.binaries.parent / name


def measure(bench, programs, security, certificates):
    """One run of all of them, for Python's programs or ours."""
    certificates = certificates if security == "TLS" else None
    bench.number += 1
    with Guard(bench.folder / str(bench.number)) as guard:
        stream(bench, guard, programs, security, certificates)
        grpc(bench, guard, programs, security, certificates)


def start(guard, name, argv):
    return guard.start(name, argv, {**os.environ, "FLWR_TELEMETRY_ENABLED": "0"})


def python(bench, module):
    return [bench.environment / "bin/python", "-B", "-m", f"federation.{module}"]


def stream(bench, guard, programs, security, certificates):
    """The server asks one client again and again; its client does next to nothing."""
    files = [certificates.authority] if certificates else []
    client = [built(bench, "examples/bin/bidi-client"), ADDRESS, *files]
    if programs == "python":
        client = [*python(bench, "bidi_peer"), "client", ADDRESS, *files]
    elif not client[0].exists():
        return
    seen = answered(bench, guard, client, certificates)
    for kind, text in STREAM.items():
        bench.add(f"legacy stream, {security}: {text}", programs, seen[kind])


def answered(bench, guard, client, certificates=None):
    """How much a client of the server answers each second, by kinds of STREAM; client: its command
    line, in which ADDRESS is where the server is."""
    (port,) = free_ports(1)
    argv = [*python(bench, "bidi_peer"), "serve", port, SECONDS]
    if certificates:
        argv += [certificates.authority, certificates.certificate, certificates.key]
    server = start(guard, "bidi-server", argv)
    server.wait_log("gRPC server running", 60)
    address = f"127.0.0.1:{port}"
    start(guard, "bidi-client", [address if word == ADDRESS else word for word in client])
    seen = json.loads(server.wait_log(r"^RESULT (.*)$", 60 + 4 * SECONDS).group(1))
    server.wait()
    return seen


def grpc(bench, guard, programs, security, certificates):
    argv = [built(bench, "tests/rpc-bench")]
    if programs == "python":
        argv = python(bench, "rpc_peer")
    elif not argv[0].exists():
        return
    files = [certificates.certificate, certificates.key] if certificates else []
    server = start(guard, "rpc-server", [*argv, "serve", *files])
    target = f"127.0.0.1:{server.wait_log(r'^port ([0-9]+)$').group(1)}"
    files = [certificates.authority] if certificates else []

    def figure(kind, amount):
        client = start(guard, f"rpc-{kind}", [*argv, kind, target, amount, *files])
        if client.wait(120):
            print(client.text(), file=sys.stderr)
            raise RuntimeError(f"{programs}: {kind} has failed")
        return float(client.text().split()[-1])

    bench.add(f"gRPC, {security}: unary ping", programs, figure("ping", SECONDS))
    for kind, text in STREAMING.items():
        bench.add(f"gRPC, {security}: {text}", programs, figure(kind, MESSAGES))
