"""Asks each node some times, and prints what it says."""

import time

try:
    from flwr.app import Message, RecordDict
    from flwr.serverapp import ServerApp
except ImportError:  # before 1.21
    from flwr.common import RecordSet as RecordDict
    from flwr.server import ServerApp

    Message = None

app = ServerApp()


def question(grid, node, round):
    if Message is None:
        return grid.create_message(RecordDict(), "query", node, str(round))
    return Message(RecordDict(), node, "query", group_id=str(round))


def metrics_of(reply):
    content = reply.content
    return (content.metrics_records if Message is None else content.metric_records)["table"]


@app.main()
def main(grid, context):
    while not (nodes := list(grid.get_node_ids())):
        time.sleep(1)
    for round in range(1, context.run_config["rounds"] + 1):
        for reply in grid.send_and_receive([question(grid, node, round) for node in nodes]):
            node = reply.metadata.src_node_id
            if reply.has_error():
                print(f"round {round}, node {node}: {reply.error.reason}")
                continue
            said = metrics_of(reply)
            print(f"round {round}, node {node}: sum {said['sum']}, process {said['pid']}, loaded by {said['loader']}")
