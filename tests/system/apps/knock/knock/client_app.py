"""Is at home; with a gate, from the moment on at which that file is there. What it can reach is in another file then."""

import json
import os
import tempfile
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


def attempts():
    """What it can do where others' folders are, and where apps write: "done", or the error."""
    own = Path(__file__).parents[1]
    apps = own.parent
    tried = {
        "list": lambda: [each for each in apps.iterdir() if each != own][0],
        "read": lambda: (apps / "other/secret").read_bytes(),
        "write": lambda: (apps / "other/secret").write_bytes(b"x"),
        "add": lambda: (apps / "added").touch(),
        "move": lambda: apps.rename(apps.with_name("moved")),
        "home": lambda: Path.home().joinpath(f"made-{os.getpid()}").touch(),
        "temporary": tempfile.TemporaryFile,
    }
    return {name: outcome(what) for name, what in tried.items()}


def outcome(what):
    try:
        what()
    except (OSError, IndexError) as error:
        return type(error).__name__
    return "done"


@app.query()
def query(message, context):
    if gate := context.run_config["gate"]:
        Path(gate + ".new").write_text(json.dumps(attempts()), encoding="utf-8")
        os.rename(gate + ".new", gate + ".reached")
        while not Path(gate).exists():
            time.sleep(0.05)
    if Message:
        return Message(RecordDict(), reply_to=message)
    return message.create_reply(RecordDict())
