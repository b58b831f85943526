"""One party, in Python. digits.c answers the same messages in C."""

from flwr.app import ArrayRecord, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from native_digits import network
from native_digits.data import load_partition

app = ClientApp()


def partition(context):
    config = context.node_config
    return load_partition(int(config["partition-id"]), int(config["num-partitions"]))


def weights_of(message):
    arrays = message.content["arrays"]
    return [arrays[name].numpy().copy() for name in network.NAMES]


@app.train()
def train(message, context):
    (pixels, labels), _ = partition(context)
    weights = weights_of(message)
    config = message.content["config"]
    network.train(weights, pixels, labels, int(config["epochs"]), float(config["lr"]))
    content = {
        "arrays": ArrayRecord(network.as_arrays(weights)),
        "metrics": MetricRecord({"num-examples": len(labels)}),
    }
    return Message(RecordDict(content), reply_to=message)


@app.evaluate()
def evaluate(message, context):
    _, (pixels, labels) = partition(context)
    loss, accuracy = network.evaluate(weights_of(message), pixels, labels)
    metrics = {"num-examples": len(labels), "loss": loss, "accuracy": accuracy}
    return Message(RecordDict({"metrics": MetricRecord(metrics)}), reply_to=message)
