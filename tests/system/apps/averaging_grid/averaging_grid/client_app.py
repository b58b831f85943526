"""Adds its partition's number plus one to each weight; counts its messages in the node's state."""

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp


def count_mod(message, context, call_next):
    if "seen" not in context.state:
        context.state["seen"] = MetricRecord({"messages": 0})
    context.state["seen"]["messages"] += 1
    return call_next(message, context)


app = ClientApp(mods=[count_mod])


def step_of(context):
    return int(context.node_config.get("partition-id", 0)) + 1


@app.train()
def train(message, context):
    step = step_of(context)
    weights = message.content["arrays"].to_numpy_ndarrays()
    weights = [weight + np.asarray(step, weight.dtype) for weight in weights]
    metrics = {"num-examples": 10, "step": step, "round": message.content["config"]["server-round"]}
    content = RecordDict({"arrays": ArrayRecord(weights), "metrics": MetricRecord(metrics)})
    return Message(content, reply_to=message)


@app.evaluate()
def evaluate(message, context):
    loss = float(message.content["arrays"].to_numpy_ndarrays()[1][0])
    seen = context.state["seen"]["messages"]
    metrics = MetricRecord({"num-examples": 10, "loss": loss, "messages": seen})
    return Message(RecordDict({"metrics": metrics}), reply_to=message)


@app.query()
def query(message, context):
    """Everything comes back, and what this node knows."""
    known = {"greeting": context.run_config["greeting"], "step": step_of(context)}
    message.content["known"] = ConfigRecord(known)
    return Message(message.content, reply_to=message)


@app.query("fail")
def fail(message, context):
    raise ZeroDivisionError("division by zero")
