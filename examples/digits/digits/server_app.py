"""The server: averages what the parties have learnt, and reports how well all of them read."""

from logging import INFO

from flwr.common import ndarrays_to_parameters
from flwr.common.logger import log
from flwr.server import ServerApp, ServerAppComponents, ServerConfig
from flwr.server.strategy import FedAvg

from digits.model import empty_weights


def mean_accuracy(results):
    """The accuracy over all held-out digits; results are (number of digits, metrics) pairs."""
    digits = sum(number for number, _ in results)
    return {"accuracy": sum(number * each["accuracy"] for number, each in results) / digits}


class ReportingFedAvg(FedAvg):
    def aggregate_evaluate(self, server_round, results, failures):
        loss, metrics = super().aggregate_evaluate(server_round, results, failures)
        if metrics:
            log(INFO, "round %d  accuracy %.2f", server_round, metrics["accuracy"])
        return loss, metrics


def server_fn(context):
    nodes = int(context.run_config["min-nodes"])
    strategy = ReportingFedAvg(
        min_fit_clients=nodes,
        min_evaluate_clients=nodes,
        min_available_clients=nodes,
        accept_failures=False,
        initial_parameters=ndarrays_to_parameters(empty_weights()),
        evaluate_metrics_aggregation_fn=mean_accuracy,
    )
    rounds = int(context.run_config["num-server-rounds"])
    return ServerAppComponents(strategy=strategy, config=ServerConfig(num_rounds=rounds))


app = ServerApp(server_fn=server_fn)
