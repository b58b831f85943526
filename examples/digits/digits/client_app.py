"""One party: learns from its own digits, and tells how well it reads those it has never seen."""

import warnings

import numpy as np
from flwr.client import ClientApp, NumPyClient
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from digits.data import load_partition
from digits.model import DIGITS


class DigitsClient(NumPyClient):
    def __init__(self, training, held_out, steps):
        self.training = training
        self.held_out = held_out
        # A few steps a round: the parties are meant to agree, not to learn by heart.
        self.model = LogisticRegression(max_iter=steps, warm_start=True)
        self.model.classes_ = np.arange(DIGITS)

    def set_weights(self, weights):
        self.model.coef_, self.model.intercept_ = (np.array(weight) for weight in weights)

    def fit(self, parameters, config):
        self.set_weights(parameters)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            self.model.fit(*self.training)
        return [self.model.coef_, self.model.intercept_], len(self.training[1]), {}

    def evaluate(self, parameters, config):
        self.set_weights(parameters)
        pixels, labels = self.held_out
        loss = log_loss(labels, self.model.predict_proba(pixels), labels=self.model.classes_)
        return float(loss), len(labels), {"accuracy": float(self.model.score(pixels, labels))}


def client_fn(context):
    training, held_out = load_partition(
        int(context.node_config["partition-id"]), int(context.node_config["num-partitions"])
    )
    return DigitsClient(training, held_out, int(context.run_config["steps"])).to_client()


app = ClientApp(client_fn=client_fn)
