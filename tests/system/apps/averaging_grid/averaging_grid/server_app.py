"""Averages, asks, and writes down what it has got, or what went wrong."""

import json
import os
import time
import traceback

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from flwr.serverapp import ServerApp
from flwr.serverapp.strategy import FedAvg

REPLY_S = 60
WAIT_S = 60


class Writing(FedAvg):
    def __init__(self, nodes):
        super().__init__(
            min_train_nodes=nodes, min_evaluate_nodes=nodes, min_available_nodes=nodes
        )
        self.seen = []

    def aggregate_train(self, server_round, replies):
        replies = list(replies)
        arrays, metrics = super().aggregate_train(server_round, replies)
        if arrays is None:
            raise RuntimeError(f"no results but {[reply.error for reply in replies]}")
        weights = arrays.to_numpy_ndarrays()
        got = [reply.content["metrics"] for reply in replies]
        self.seen.append(
            {
                "weights": [[weight.dtype.name, weight.tolist()] for weight in weights],
                "fit": sorted([each["step"], each["round"]] for each in got),
            }
        )
        return arrays, metrics

    def aggregate_evaluate(self, server_round, replies):
        replies = list(replies)
        got = [reply.content["metrics"]["messages"] for reply in replies]
        self.seen[-1]["messages"] = sorted(got)
        return super().aggregate_evaluate(server_round, replies)


def everything():
    """Records with all kinds of values; arrays of which one is no NumPy file, two are large."""
    values = {
        "double": 0.1, "int": -(2**63), "uint": 2**64 - 1, "bool": True, "string": "ü\0",
        "bytes": b"\0\xff", "doubles": [0.5, 1.0], "ints": [-1, 2], "uints": [2**63],
        "bools": [True, False], "strings": ["", "a"], "blobs": [b"", b"b"],
    }  # fmt: skip
    arrays = ArrayRecord([np.arange(3_000_000, dtype=np.float64), np.zeros((0, 3), np.int8)])
    arrays["again"] = arrays["0"]
    arrays["raw"] = Array("bytes", (5,), "none", b"12345")
    return RecordDict(
        {
            "z-first": ConfigRecord(values),
            "arrays": arrays,
            "metrics": MetricRecord({"m": 0.25, "n": [1, 2], "u": 2**64 - 1}),
        }
    )


def ask(grid, content, message_type):
    """One message of the type to each node; the replies."""
    nodes = list(grid.get_node_ids())
    messages = [Message(content, dst_node_id=node, message_type=message_type) for node in nodes]
    replies = list(grid.send_and_receive(messages, timeout=REPLY_S))
    assert len(replies) == len(nodes), f"{len(replies)} replies from {len(nodes)} nodes"
    return replies


def same(reply, content):
    """Does all of the content come back as it was, in its order?"""
    names = list(reply.content)
    assert names == [*content, "known"], names
    for name, record in content.items():
        assert reply.content[name] == record, f"{name} has changed"
        assert list(reply.content[name]) == list(record), f"{name} has another order"
    return dict(reply.content["known"])


def play(grid, config):
    end = time.monotonic() + WAIT_S
    while len(list(grid.get_node_ids())) < config["nodes"]:
        assert time.monotonic() < end, "too few nodes"
        time.sleep(0.2)
    strategy = Writing(config["nodes"])
    weights = ArrayRecord([np.zeros((2, 3), np.float32), np.zeros(4)])
    strategy.start(grid, weights, num_rounds=config["rounds"], timeout=REPLY_S)
    content = everything()
    known = [same(reply, content) for reply in ask(grid, content, "query")]
    errors = [reply.error for reply in ask(grid, RecordDict(), "query.fail")]
    return {
        "seen": strategy.seen,
        "known": sorted(known, key=lambda each: each["step"]),
        "errors": [[error.code, error.reason] for error in errors],
    }


app = ServerApp()


@app.main()
def main(grid, context):
    path = context.run_config["result"]
    try:
        result = play(grid, context.run_config)
    except Exception:
        result = {"failed": traceback.format_exc()}
    with open(path + ".new", "w", encoding="utf-8") as file:
        json.dump(result, file)
    os.rename(path + ".new", path)
    if "failed" in result:
        raise RuntimeError(result["failed"])
