"""Asks for a node's health as an orchestrator does: health_client.py ADDRESS. By the python of a
release that has grpcio-health-checking.

Each line that it reads is a question: the name of a service, which is answered by Check; it writes
"check STATUS" for those, "watch STATUS" for each status that Watch tells and for its end, and then
"details WHY".
"""

import sys
import threading

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

NAMES = health_pb2.HealthCheckResponse.ServingStatus

lock = threading.Lock()
stub = health_pb2_grpc.HealthStub(grpc.insecure_channel(sys.argv[1]))


def say(what, status):
    with lock:
        print(what, status, flush=True)


def watch():
    try:
        for answer in stub.Watch(health_pb2.HealthCheckRequest(), wait_for_ready=True):
            say("watch", NAMES.Name(answer.status))
    except grpc.RpcError as error:
        say("watch", error.code().name)
        say("details", error.details().replace(" ", "-") or "none")


threading.Thread(target=watch, daemon=True).start()
for line in sys.stdin:
    request = health_pb2.HealthCheckRequest(service=line.strip())
    try:
        answer = stub.Check(request, timeout=20, wait_for_ready=True)
        say("check", NAMES.Name(answer.status))
    except grpc.RpcError as error:
        say("check", error.code().name)
