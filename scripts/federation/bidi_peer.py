"""Flower's ends of the legacy stream, for calls.py:
    serve PORT SECONDS [CA CHAIN KEY]    how many calls of its one client it has answered, each second
    client ADDRESS [CA]                  does nothing in each call
    client-over TRANSPORT ADDRESS        the same over another transport, for clients.py
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
from flwr.client import NumPyClient, start_client
from flwr.common import FitIns, GetPropertiesIns, ndarrays_to_parameters
from flwr.server import ServerConfig, start_server
from flwr.server.strategy import FedAvg

WARM_S = 0.5


class Idle(NumPyClient):
    def get_properties(self, config):
        return {}

    def fit(self, parameters, config):
        return parameters, 1, {}


def rate(call, seconds):
    """How many calls a second."""
    number, start = 0, time.monotonic()
    while (now := time.monotonic()) < start + seconds:
        call()
        number += 1
    return number / (now - start)


class Asking(FedAvg):
    def __init__(self, seconds):
        super().__init__(min_available_clients=1)
        self.seconds = seconds

    def initialize_parameters(self, client_manager):
        client_manager.wait_for(1)
        (client,) = client_manager.all().values()
        model = ndarrays_to_parameters([np.zeros(4, dtype=np.float32)])
        asked = GetPropertiesIns({})
        fit = FitIns(model, {})
        calls = {
            "get_properties": lambda: client.get_properties(asked, None, None),
            "fit": lambda: client.fit(fit, None, None),
        }
        seen = {}
        for name, call in calls.items():
            rate(call, WARM_S)
            seen[name] = rate(call, self.seconds)
        print("RESULT", json.dumps(seen), flush=True)
        return model


def serve(port, seconds, *files):
    start_server(
        server_address=f"127.0.0.1:{port}",
        config=ServerConfig(num_rounds=0),
        strategy=Asking(float(seconds)),
        certificates=tuple(Path(each).read_bytes() for each in files) or None,
    )


def client(address, *files):
    authority = Path(files[0]).read_bytes() if files else None
    start_client(
        server_address=address,
        client=Idle().to_client(),
        insecure=not files,
        root_certificates=authority,
    )


def client_over(transport, address):
    start_client(
        server_address=address, client=Idle().to_client(), insecure=True, transport=transport
    )


if __name__ == "__main__":
    told = {"serve": serve, "client": client, "client-over": client_over}
    told[sys.argv[1]](*sys.argv[2:])
