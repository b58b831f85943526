"""The server: Flower's own averaging. Nothing here knows that a party is in C."""

from logging import INFO

from flwr.app import ArrayRecord, ConfigRecord
from flwr.common.logger import log
from flwr.serverapp import ServerApp
from flwr.serverapp.strategy import FedAvg

from native_digits.network import first_weights


class ReportingFedAvg(FedAvg):
    accuracy = 0.0

    def aggregate_evaluate(self, server_round, replies):
        metrics = super().aggregate_evaluate(server_round, replies)
        if metrics:
            self.accuracy = metrics["accuracy"]
            log(INFO, "round %d  accuracy %.2f", server_round, self.accuracy)
        return metrics


app = ServerApp()


@app.main()
def main(grid, context):
    config = context.run_config
    strategy = ReportingFedAvg()
    strategy.start(
        grid,
        initial_arrays=ArrayRecord(first_weights()),
        num_rounds=int(config["num-server-rounds"]),
        train_config=ConfigRecord({"epochs": config["epochs"], "lr": config["lr"]}),
    )
    log(INFO, "[SUMMARY] accuracy %.2f", strategy.accuracy)
