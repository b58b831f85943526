"""The app of the evil SuperLink's run, as a bundle: an app that gives back what it gets."""

import hashlib
import io
import zipfile

from federation.superlink.link import Fab

CLIENT_APP = '''
try:
    from flwr.clientapp import ClientApp
except ImportError:
    from flwr.client import ClientApp
try:
    from flwr.app import Message
except ImportError:
    Message = None

app = ClientApp()


@app.query()
def query(message, context):
    if Message is None:
        return message.create_reply(message.content)
    return Message(message.content, reply_to=message)
'''

PYPROJECT = """
[project]
name = "evil"
version = "1.0.0"
dependencies = []

[tool.flwr.app]
publisher = "flwr-native"

[tool.flwr.app.components]
serverapp = "evil_app.client_app:app"
clientapp = "evil_app.client_app:app"

[tool.flwr.app.config]
"""


def make_fab(remark, pyproject=PYPROJECT):
    files = {
        "pyproject.toml": pyproject,
        "evil_app/__init__.py": "",
        "evil_app/client_app.py": remark + CLIENT_APP,
    }
    listed = ""
    for path, text in files.items():
        digest = hashlib.sha256(text.encode()).hexdigest()
        listed += f"{path},{digest},{len(text.encode()) * 8}\n"
    files[".info/CONTENT"] = listed.rstrip("\n")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as bundle:
        for path, text in files.items():
            bundle.writestr(path, text)
    content = packed.getvalue()
    return Fab(hashlib.sha256(content).hexdigest(), content)
