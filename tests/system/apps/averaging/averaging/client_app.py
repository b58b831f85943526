"""Adds its partition's number plus one to each weight; counts its rounds in the node's state."""

import numpy as np
from flwr.client import ClientApp, NumPyClient
from flwr.common import MetricsRecord


def metrics_of(context):
    """What 1.17 has renamed."""
    state = context.state
    return state.metric_records if hasattr(state, "metric_records") else state.metrics_records


def count_mod(message, context, call_next):
    seen = metrics_of(context).setdefault("seen", MetricsRecord({"messages": 0}))
    seen["messages"] = int(seen["messages"]) + 1
    return call_next(message, context)


class Adder(NumPyClient):
    def __init__(self, context):
        self.context = context
        self.step = int(context.node_config.get("partition-id", 0)) + 1

    def get_parameters(self, config):
        return [np.zeros((2, 3), dtype=np.float32), np.zeros(4)]

    def fit(self, parameters, config):
        weights = [weight + np.asarray(self.step, weight.dtype) for weight in parameters]
        return weights, 10, {"step": self.step, "round": config["round"]}

    def evaluate(self, parameters, config):
        messages = metrics_of(self.context)["seen"]["messages"]
        return float(parameters[1][0]), 10, {"messages": messages}


def client_fn(context):
    return Adder(context).to_client()


app = ClientApp(client_fn=client_fn, mods=[count_mod])
