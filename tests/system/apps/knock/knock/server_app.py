"""Knocks at each node."""

import json
import os
import time

try:
    from flwr.app import Message, RecordDict
    from flwr.serverapp import ServerApp
except ImportError:  # before 1.21
    from flwr.common import RecordSet as RecordDict
    from flwr.server import ServerApp

    Message = None

NODES_S = 150  # above the time after which a SuperLink forgets a node that was killed
REPLY_S = 60

app = ServerApp()


def message_to(grid, node):
    if Message:
        return Message(RecordDict(), dst_node_id=node, message_type="query")
    return grid.create_message(RecordDict(), "query", node, "1")


def nodes_of(grid, number):
    end = time.monotonic() + NODES_S
    while len(nodes := list(grid.get_node_ids())) != number:
        assert time.monotonic() < end, f"{len(nodes)} nodes"
        time.sleep(0.1)
    return nodes


@app.main()
def main(grid, context):
    config = context.run_config
    seen = {str(node): [] for node in nodes_of(grid, config["nodes"])}
    for _ in range(config["messages"]):
        messages = [message_to(grid, int(node)) for node in seen]
        for reply in grid.send_and_receive(messages, timeout=REPLY_S):
            error = reply.error if reply.has_error() else None
            what = [error.code, error.reason] if error else [0, ""]
            seen[str(reply.metadata.src_node_id)].append(what)
    with open(config["result"] + ".new", "w", encoding="utf-8") as file:
        json.dump(seen, file)
    os.rename(config["result"] + ".new", config["result"])
