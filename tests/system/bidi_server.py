"""flwr.server.start_server, by the Python of any release: bidi_server.py PORT CLIENTS ROUNDS
[FOLDER-OF-CERTIFICATES]. Its strategy is FedAvg, which asks each client for its properties and its
parameters, too, before each round. At the end it writes one line of JSON to stdout."""

import json
import sys
from pathlib import Path

from flwr.common import GetParametersIns, GetPropertiesIns, parameters_to_ndarrays
from flwr.server import ServerConfig, start_server
from flwr.server.strategy import FedAvg

port, clients, rounds = (int(word) for word in sys.argv[1:4])
seen = {"properties": [], "parameters": [], "fit": [], "evaluate": [], "failures": 0}


def status(result):
    return [result.status.code.name, result.status.message]


class Asking(FedAvg):
    def configure_fit(self, server_round, parameters, client_manager):
        assert client_manager.wait_for(clients, 60)
        for client in client_manager.all().values():
            asked = GetPropertiesIns({"round": server_round, "text": "\u00e4", "bytes": b"\0"})
            result = client.get_properties(asked, 60, None)
            seen["properties"].append([status(result), result.properties])
            result = client.get_parameters(GetParametersIns({}), 60, None)
            arrays = parameters_to_ndarrays(result.parameters)
            seen["parameters"].append([status(result), [array.tolist() for array in arrays]])
        return super().configure_fit(server_round, parameters, client_manager)

    def aggregate_fit(self, server_round, results, failures):
        seen["failures"] += len(failures)
        seen["fit"].append([[status(fit), fit.num_examples, fit.metrics] for _, fit in results])
        parameters, metrics = super().aggregate_fit(server_round, results, failures)
        seen["model"] = [array.tolist() for array in parameters_to_ndarrays(parameters)]
        return parameters, metrics

    def aggregate_evaluate(self, server_round, results, failures):
        seen["failures"] += len(failures)
        seen["evaluate"].append([[status(res), res.loss, res.metrics] for _, res in results])
        return super().aggregate_evaluate(server_round, results, failures)


certificates = None
if len(sys.argv) > 4:
    names = ("ca.pem", "server.pem", "server.key")
    certificates = tuple((Path(sys.argv[4]) / name).read_bytes() for name in names)
numbers = {name: clients for name in ("min_fit_clients", "min_evaluate_clients", "min_available_clients")}
history = start_server(
    server_address=f"127.0.0.1:{port}",
    config=ServerConfig(num_rounds=rounds),
    strategy=Asking(**numbers),
    certificates=certificates,
)
seen["losses"] = history.losses_distributed
print("RESULT", json.dumps(seen), flush=True)
