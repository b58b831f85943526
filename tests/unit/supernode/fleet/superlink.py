"""A real Fleet API with real authentication, in three lives.

Prints "port N". Each node that registers gets one message. After the first reply the node is forgotten, after the second
the server is restarted with nothing in memory. When stdin ends, it prints what it saw and ends.
"""

import concurrent.futures
import queue
import sys
import tempfile
import threading

import grpc
from flwr.common import ConfigsRecord, Message, Metadata, RecordSet
from flwr.common.serde import message_from_proto, message_to_taskins
from flwr.proto.fleet_pb2_grpc import add_FleetServicer_to_server
from flwr.common.constant import Status
from flwr.common.typing import RunStatus
from flwr.server.superlink.ffs.ffs_factory import FfsFactory
from flwr.server.superlink.fleet.grpc_rere.fleet_servicer import FleetServicer
from flwr.server.superlink.fleet.grpc_rere.server_interceptor import (
    AuthenticateServerInterceptor,
)
from flwr.server.superlink.linkstate import LinkStateFactory

FAB = b"FAB" * 1000
events = queue.Queue()
lines = []
lives = []  # link states, the last is the present one


def new_run(state, fab_hash):
    run_id = state.create_run("me/app", "1.0", fab_hash, {"rate": 0.5}, ConfigsRecord())
    for status in (Status.STARTING, Status.RUNNING):
        assert state.update_run_status(run_id, RunStatus(status, "", ""))
    return run_id


def instruct(state, run_id, node_id, group):
    metadata = Metadata(
        run_id=run_id,
        message_id="",
        src_node_id=1,
        dst_node_id=node_id,
        reply_to_message="",
        group_id=str(group),
        ttl=3600.0,
        message_type="train",
    )
    records = RecordSet(configs_records={"c": ConfigsRecord({"group": group, "text": "ä"})})
    assert state.store_task_ins(message_to_taskins(Message(metadata, content=records)))


class Servicer(FleetServicer):
    registered = 0
    pushed = 0

    def CreateNode(self, request, context):
        response = super().CreateNode(request, context)
        state = self.state_factory.state()
        Servicer.registered += 1
        instruct(state, lives[-1][1], response.node.node_id, Servicer.registered)
        return response

    def PushMessages(self, request, context):
        response = super().PushMessages(request, context)
        message = message_from_proto(request.messages_list[0])
        config = message.content.configs_records["c"]
        kept = "kept" if "None" not in response.results else "dropped"
        lines.append(f"reply {message.metadata.group_id} {config['group']} {config['text']} {kept}")
        Servicer.pushed += 1
        if Servicer.pushed == 1:
            self.state_factory.state().delete_node(request.node.node_id)
        if Servicer.pushed == 2:
            events.put("restart")
        return response


def serve(port):
    states = LinkStateFactory(":flwr-in-memory-state:")
    files = FfsFactory(tempfile.mkdtemp())
    state = states.state()
    lives.append((state, new_run(state, files.ffs().put(FAB, {}))))
    server = grpc.server(
        concurrent.futures.ThreadPoolExecutor(max_workers=8),
        interceptors=[AuthenticateServerInterceptor(states, auto_auth=True)],
        options=[
            ("grpc.keepalive_time_ms", 210000),
            ("grpc.http2.max_pings_without_data", 0),
            ("grpc.keepalive_permit_without_calls", 0),
        ],
    )
    add_FleetServicer_to_server(Servicer(states, files), server)
    bound = server.add_insecure_port(f"127.0.0.1:{port}")
    assert bound
    server.start()
    return server, bound


def watch_stdin():
    sys.stdin.read()
    events.put("end")


def main():
    server, port = serve(0)
    print("port", port, flush=True)
    threading.Thread(target=watch_stdin, daemon=True).start()
    while events.get() == "restart":
        server.stop(5).wait()
        server, _ = serve(port)
    lines.append(f"nodes {len(lives[-1][0].node_ids)}")
    server.stop(0).wait()
    print("\n".join(lines), flush=True)


main()
