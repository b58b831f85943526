"""A federation in containers: commands to its containers, and runs of an app whose messages wait
at a gate."""

import json
import subprocess
from pathlib import Path

from federation.images import run
from federation.processes import wait_until

KNOCK = Path(__file__).parent / "apps/knock"
READY_S = 300
CLI = """
[superlink]
default = "local"

[superlink.local]
address = "127.0.0.1:8000"
root-certificates = "/certificates/ca.crt"
"""


class Contained:
    """A subclass names its containers: container(service)."""

    engine = "docker"

    def __init__(self):
        self.number = 0

    def run(self, *argv, **more):
        return run(self.engine, *argv, **more)

    def inspect(self, service, what):
        return self.run("inspect", "-f", what, self.container(service)).strip()

    def logs(self, service):
        return self.run("logs", self.container(service))

    def exit_status(self, service):
        return int(self.inspect(service, "{{.State.ExitCode}}"))

    def kill(self, service):
        self.run("kill", self.container(service))

    def has(self, service, path):
        argv = ["exec", self.container(service), "sh", "-c", f"test -e {path} && echo yes"]
        return "yes" in self.run(*argv, check=False)

    def touch(self, service, path):
        self.run("exec", self.container(service), "touch", path)

    def flwr(self, *argv, **more):
        return self.run("exec", self.container("superlink"), "flwr", *argv, **more)

    def copy_app(self, folder):
        """Hand the app to the SuperLink's container, which has a folder in memory for it."""
        self.number += 1
        at = f"/tmp/{self.number}"
        config = f"mkdir -p {at} $FLWR_HOME; cat > $FLWR_HOME/config.toml"
        superlink = self.container("superlink")
        self.run("exec", "-i", superlink, "sh", "-c", config, input=CLI.encode())
        packed = subprocess.run(["tar", "-c", "-C", folder, "."], capture_output=True, check=True)
        self.run("exec", "-i", superlink, "tar", "-x", "-C", at, input=packed.stdout)
        # It would take the place of what config.toml says.
        cut = ["sed", "-i", r"/^\[tool.flwr.federations/,$d", f"{at}/pyproject.toml"]
        self.run("exec", superlink, *cut)
        return at

    def knock(self, nodes, gate=""):
        """A run that sends a message to each node; the path of the file with what came back."""
        at = self.copy_app(KNOCK)
        config = f'nodes={nodes} result="{at}/result" gate="{gate}"'
        self.flwr("run", at, "local", "--run-config", config)
        return f"{at}/result"

    def came_back(self, result):
        """[code, reason] of each node's reply, sorted."""
        wait_until(lambda: self.has("superlink", result), "the run's result", READY_S, 0.5)
        found = json.loads(self.run("exec", self.container("superlink"), "cat", result))
        return sorted(reply for replies in found.values() for reply in replies)

    def new_gate(self):
        self.number += 1
        return f"/tmp/gate-{self.number}"

    def add_other_app(self, service):
        """A folder beside those of the apps, with a file."""
        other = "$FLWR_HOME/apps/other"
        made = f"mkdir -p -m 755 {other} && echo secret > {other}/secret"
        self.run("exec", self.container(service), "sh", "-c", made)

    def reached(self, service, gate):
        """What the app at the gate was able to do."""
        said = self.run("exec", self.container(service), "cat", f"{gate}.reached")
        return {name for name, what in json.loads(said).items() if what == "done"}

    def wait_at_gate(self, gate, *services):
        for service in services:
            reached = f"{gate}.reached"
            wait_until(lambda: self.has(service, reached), f"{service} is at work", READY_S, 0.5)
