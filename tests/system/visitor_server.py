"""flwr.server.start_server, by the Python of any release, for clients that come one after the other:
visitor_server.py PORT QUESTIONS, a JSON list of {"array": [dtype, numbers], "config": {...}}, one for
each client. A client is asked for a fit and an evaluation of what came of it, and sent away. At the
end one line of JSON goes to stdout."""

import json
import sys

import numpy as np
from flwr.common import (
    EvaluateIns,
    FitIns,
    ReconnectIns,
    ndarrays_to_parameters,
    parameters_to_ndarrays,
)
from flwr.server import ServerConfig, start_server
from flwr.server.strategy import FedAvg

SECONDS = 60
port, questions = int(sys.argv[1]), json.loads(sys.argv[2])
seen = []


def ask(client, question):
    dtype, numbers = question["array"]
    model = ndarrays_to_parameters([np.array(numbers, dtype)])
    fit = client.fit(FitIns(model, question["config"]), SECONDS, None)
    tested = client.evaluate(EvaluateIns(fit.parameters, {}), SECONDS, None)
    client.reconnect(ReconnectIns(seconds=None), SECONDS, None)
    return {
        "fit": [fit.status.code.name, fit.num_examples, fit.metrics],
        "arrays": [[str(a.dtype), a.tolist()] for a in parameters_to_ndarrays(fit.parameters)],
        "evaluate": [tested.status.code.name, tested.num_examples, tested.metrics],
        "loss": tested.loss,
    }


class Visits(FedAvg):
    def initialize_parameters(self, client_manager):
        for question in questions:
            assert client_manager.wait_for(1, SECONDS)
            (client,) = client_manager.all().values()
            seen.append(ask(client, question))
            with client_manager._cv:
                client_manager._cv.wait_for(lambda: not client_manager.clients, SECONDS)
        return ndarrays_to_parameters([])


start_server(
    server_address=f"127.0.0.1:{port}",
    config=ServerConfig(num_rounds=0),
    strategy=Visits(min_available_clients=1),
)
print("RESULT", json.dumps(seen), flush=True)
