"""Is at home; with a gate, from the moment on at which that file is there."""

import time
from pathlib import Path

try:
    from flwr.app import Message, RecordDict
    from flwr.clientapp import ClientApp
except ImportError:  # before 1.21
    from flwr.client import ClientApp
    from flwr.common import RecordSet as RecordDict

    Message = None

app = ClientApp()


@app.query()
def query(message, context):
    if gate := context.run_config["gate"]:
        Path(gate + ".reached").touch()
        while not Path(gate).exists():
            time.sleep(0.05)
    if Message:
        return Message(RecordDict(), reply_to=message)
    return message.create_reply(RecordDict())
