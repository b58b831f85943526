"""A federation on loopback: Flower's SuperLink, SuperNodes (ours or Python's) and runs of apps."""

import json
import os
import re
import shutil
from pathlib import Path

from .processes import Guard, accepts, free_ports, wait_until

PROGRAMS = ("ours", "python")


class Federation(Guard):
    """One SuperLink and what belongs to it, with all its files below one folder."""

    def __init__(self, folder, environment, binaries=None, programs="ours"):
        super().__init__(Path(folder).resolve())
        self.bin = Path(environment) / "bin"
        self.binaries = Path(binaries) if binaries else None
        self.programs = programs
        self.fleet, self.exec, self.serverappio = free_ports(3)
        self.superlink = None
        self.nodes = []
        self.clientapps = []
        self.number = 0

    @property
    def address(self):
        return f"127.0.0.1:{self.fleet}"

    def environ(self, name):
        """Of a program with a Flower home of its own."""
        home = self.folder / "homes" / name
        home.mkdir(parents=True, exist_ok=True)
        env = {key: value for key, value in os.environ.items() if not key.startswith("FLWR_")}
        env.update(
            FLWR_HOME=str(home),
            FLWR_TELEMETRY_ENABLED="0",
            PYTHONUNBUFFERED="1",
            PYTHONDONTWRITEBYTECODE="1",
            PATH=f"{self.bin}:{env.get('PATH', '/usr/bin:/bin')}",
        )
        return env

    def name(self, kind):
        self.number += 1
        return f"{self.number:02d}-{kind}"

    def start_superlink(self, database=None):
        """Returns when all its ports answer. Again after its end: the same ports."""
        argv = [self.bin / "flower-superlink", "--insecure"]
        argv += ["--fleet-api-address", self.address]
        argv += ["--exec-api-address", f"127.0.0.1:{self.exec}"]
        argv += ["--serverappio-api-address", f"127.0.0.1:{self.serverappio}"]
        if database:
            argv += ["--database", database]
        name = self.name("superlink")
        self.superlink = link = self.start(name, argv, self.environ("superlink"))

        def ready():
            if not link.running():
                raise RuntimeError(f"the SuperLink ended:\n{link.text()}")
            return all(accepts(port) for port in (self.fleet, self.exec, self.serverappio))

        wait_until(ready, "the SuperLink's ports answer", 60, 0.05)
        return link

    def argv(self, program, programs, usual, options):
        """A command line; options win over what is usual, None leaves one out, True is a flag."""
        argv = [(self.bin if programs == "python" else self.binaries) / program, "--insecure"]
        for option, value in {**usual, **(options or {})}.items():
            if value is not None:
                argv += [option] if value is True else [option, value]
        return argv

    def node_argv(self, superlink, node_config, options, programs):
        isolation = (options or {}).get("--isolation", "subprocess")
        usual = {"--superlink": superlink, "--isolation": isolation}
        if node_config is not None:
            usual["--node-config"] = node_config
        if programs == "python":
            usual["--clientappio-api-address"] = f"127.0.0.1:{free_ports(1)[0]}"
        else:
            usual["--log-level"] = "debug"
            if isolation == "subprocess" and "--clientapp-command" not in (options or {}):
                usual["--python"] = self.bin / "python"
        return self.argv("flower-supernode", programs, usual, options)

    def start_node(
        self, node_config=None, options=None, superlink=None, wait=True, env=None, programs=None
    ):
        """A SuperNode; waits until it has registered."""
        name = self.name("supernode")
        programs = programs or self.programs
        argv = self.node_argv(superlink or self.address, node_config, options, programs)
        node = self.start(name, argv, {**self.environ(name), **(env or {})})
        node.programs = programs
        self.nodes.append(node)
        if wait:
            self.wait_registered(node)
        return node

    def start_clientapp(self, address, options=None, programs=None):
        """A flwr-clientapp that asks the SuperNode at this address for messages."""
        name = self.name("flwr-clientapp")
        programs = programs or self.programs
        usual = {"--clientappio-api-address": address}
        if programs == "ours":
            usual |= {"--log-level": "debug", "--python": self.bin / "python"}
        argv = self.argv("flwr-clientapp", programs, usual, options)
        clientapp = self.start(name, argv, self.environ(name))
        clientapp.programs = programs
        self.clientapps.append(clientapp)
        return clientapp

    def wait_registered(self, node, start=0, seconds=30.0):
        """The node's id: from its log, or None for Python's, which logs none."""
        if node.programs == "python":
            return wait_until(
                lambda: self.superlink.text().count("CreateNode") >= len(self.nodes) or None,
                "CreateNode in the SuperLink's log",
                seconds,
            )
        return int(node.wait_log(r"registered: node_id=(\d+)", seconds, start).group(1))

    def run(self, app, overrides=None):
        """Hand an app in through `flwr run`; the run's id. The app's folder is copied first."""
        name = self.name("run")
        copy = self.folder / "apps" / name / Path(app).name
        shutil.copytree(app, copy, ignore=shutil.ignore_patterns("__pycache__"))
        self.set_address(copy / "pyproject.toml")
        argv = [self.bin / "flwr", "run", copy, "local", "--format", "json"]
        if overrides:
            argv += ["--run-config", overrides]
        command = self.start(name, argv, self.environ("cli"))
        status = command.wait(60)
        text = command.text()
        found = re.search(r'"run-id": "?(\d+)', text)
        if status or not found:
            raise RuntimeError(f"flwr run ended with {status}:\n{text}")
        return int(found.group(1))

    def set_address(self, pyproject):
        text = pyproject.read_text(encoding="utf-8")
        address = json.dumps(f"127.0.0.1:{self.exec}")
        text, number = re.subn(r'^address = ".*"$', f"address = {address}", text, flags=re.M)
        assert number == 1, f"one address is expected in {pyproject}"
        pyproject.write_text(text, encoding="utf-8")
