"""Averages, and writes down what it has got."""

import json
import os

from flwr.common import parameters_to_ndarrays
from flwr.server import ServerApp, ServerAppComponents, ServerConfig
from flwr.server.strategy import FedAvg


class Writing(FedAvg):
    def __init__(self, result, rounds, nodes):
        super().__init__(
            min_fit_clients=nodes,
            min_evaluate_clients=nodes,
            min_available_clients=nodes,
            accept_failures=False,
            on_fit_config_fn=lambda number: {"round": number},
        )
        self.path, self.rounds = result, rounds
        self.seen = []

    def aggregate_fit(self, server_round, results, failures):
        parameters, metrics = super().aggregate_fit(server_round, results, failures)
        if parameters is None:
            raise RuntimeError(f"no results but {failures}")
        weights = parameters_to_ndarrays(parameters)
        self.seen.append(
            {
                "weights": [[weight.dtype.name, weight.tolist()] for weight in weights],
                "fit": sorted(
                    [result.metrics["step"], result.metrics["round"]] for _, result in results
                ),
            }
        )
        return parameters, metrics

    def aggregate_evaluate(self, server_round, results, failures):
        self.seen[-1]["messages"] = sorted(result.metrics["messages"] for _, result in results)
        if server_round == self.rounds:
            with open(self.path + ".new", "w", encoding="utf-8") as file:
                json.dump(self.seen, file)
            os.rename(self.path + ".new", self.path)
        return super().aggregate_evaluate(server_round, results, failures)


def server_fn(context):
    config = context.run_config
    strategy = Writing(config["result"], config["rounds"], config["nodes"])
    return ServerAppComponents(strategy=strategy, config=ServerConfig(num_rounds=config["rounds"]))


app = ServerApp(server_fn=server_fn)
