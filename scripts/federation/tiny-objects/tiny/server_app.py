"""An app bundle has to have one."""

from flwr.serverapp import ServerApp

app = ServerApp()
