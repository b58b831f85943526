"""A federation on loopback: Flower's SuperLink, SuperNodes (ours or Python's) and runs of apps."""

import json
import os
import re
import shutil
from pathlib import Path

from .credentials import Certificates, NodeKey
from .processes import Guard, accepts, free_ports, healthy, wait_until
from .release import Release

PROGRAMS = ("ours", "python")
# `flwr` to 1.25 finds the SuperLink in an app, for everything it does.
ANY_APP = Path(__file__).parent / "tiny"


class Federation(Guard):
    """One SuperLink and what belongs to it, with all its files below one folder."""

    def __init__(self, folder, environment, binaries=None, programs="ours"):
        super().__init__(Path(folder).resolve())
        self.release = Release(environment)
        self.binaries = Path(binaries) if binaries else None
        self.programs = programs
        self.fleet, self.control, self.appio = free_ports(3)
        self.fleet_api_type = None  # what the SuperLink speaks with nodes; None: its default
        self.certificates = None
        self.keys = []
        self.superlink = None
        self.nodes = []
        self.clientapps = []
        self.number = 0

    @property
    def bin(self):
        return self.release.bin

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
            FLWR_DISABLE_UPDATE_CHECK="1",
            PYTHONUNBUFFERED="1",
            PYTHONDONTWRITEBYTECODE="1",
            PATH=f"{self.bin}:{env.get('PATH', '/usr/bin:/bin')}",
        )
        if os.geteuid() != 0:
            env["FLWR_TEST_VISIBLE"] = "1"  # /proc/PID of test builds can be read
        return env

    def name(self, kind):
        self.number += 1
        return f"{self.number:02d}-{kind}"

    def secure(self, keys=0):
        """From now on with TLS; with so many keys, which SuperNodes then must have."""
        self.certificates = Certificates(self.folder / "tls")
        self.keys = [NodeKey(self.folder / f"keys/node-{n}") for n in range(keys)]

    def start_superlink(self, database=None, release=None):
        """Returns when all its ports answer and all keys are registered. Again after its end: the
        same port for nodes, of this release from now on."""
        self.release = release or self.release
        ports, answering, _ = self.release.superlink_ports(self.fleet, self.control, self.appio)
        options = {**ports, **self.release.superlink_options(), "--database": database}
        options["--fleet-api-type"] = self.fleet_api_type
        if not self.certificates:
            options["--insecure"] = True
        else:
            options["--ssl-ca-certfile"] = self.certificates.authority
            options["--ssl-certfile"] = self.certificates.certificate
            options["--ssl-keyfile"] = self.certificates.key
        if self.keys and self.registers_keys:
            options["--enable-supernode-auth"] = True
        elif self.keys and not self.release.has_registered_keys:
            listed = self.folder / "keys/list.csv"
            listed.write_text(",".join(key.line for key in self.keys), encoding="utf-8")
            options["--auth-list-public-keys"] = listed
        name = self.name("superlink")
        argv = self.argv("flower-superlink", "python", options)
        self.superlink = link = self.start(name, argv, self.environ("superlink"))

        def ready():
            if not link.running():
                raise RuntimeError(f"the SuperLink ended:\n{link.text()}")
            return all(accepts(port) for port in answering)

        wait_until(ready, "the SuperLink's ports answer", 60, 0.05)
        port, tls = self.release.http_port(self.fleet, self.appio, bool(self.certificates))
        if port:
            wait_until(lambda: healthy(port, tls), "the SuperLink's health", 60, 0.05)
        if self.registers_keys:
            for key in self.keys:
                self.register(key)
        return link

    @property
    def registers_keys(self):
        """Does the SuperLink take registered keys? Only over its default transport."""
        return self.release.has_registered_keys and not self.fleet_api_type

    def argv(self, program, programs, usual, options=None):
        """A command line; options win over what is usual, None leaves one out, True is a flag."""
        argv = [(self.bin if programs == "python" else self.binaries) / program]
        for option, value in {**usual, **(options or {})}.items():
            if value is not None:
                argv += [option] if value is True else [option, value]
        return argv

    def node_argv(self, superlink, node_config, options, programs):
        isolation = (options or {}).get("--isolation", "subprocess")
        usual = {"--insecure": True, "--superlink": superlink, "--isolation": isolation}
        if self.certificates:
            usual["--insecure"] = None
            usual["--root-certificates"] = self.certificates.authority
        if self.keys:
            key = self.keys[len(self.nodes) % len(self.keys)]
            usual["--auth-supernode-private-key"] = key.private
            if programs == "python" and not self.release.has_registered_keys:
                usual["--auth-supernode-public-key"] = key.public
        if node_config is not None:
            usual["--node-config"] = node_config
        if programs == "python":
            usual |= self.release.supernode_ports(free_ports(1)[0])
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
        if programs == "ours":
            node.stands_below_reaper()
            node.lingers = r"stopping: up to \d+ s for the ServerApp"
        self.nodes.append(node)
        if wait:
            self.wait_registered(node)
        return node

    def start_clientapp(self, address, options=None, programs=None, program="flwr-clientapp"):
        """A flwr-clientapp that asks the SuperNode at this address for messages."""
        name = self.name(program)
        programs = programs or self.programs
        usual = {"--insecure": True, "--clientappio-api-address": address}
        if programs == "ours":
            usual |= {"--log-level": "debug", "--python": self.bin / "python"}
        argv = self.argv(program, programs, usual, options)
        clientapp = self.start(name, argv, self.environ(name))
        clientapp.programs = programs
        if programs == "ours":
            clientapp.stands_below_reaper()
        self.clientapps.append(clientapp)
        return clientapp

    def start_launcher(self, address, release=None, *more):
        """Flower's own program, of this release, that asks the SuperNode there for messages; more:
        options."""
        release = release or self.release
        program, *arguments = release.launcher(address)
        name = self.name(program)
        env = self.environ(name)
        env["PATH"] = f"{release.bin}:{env['PATH']}"
        launcher = self.start(name, [release.bin / program, *arguments, *more], env)
        launcher.programs = "python"
        self.clientapps.append(launcher)
        return launcher

    def wait_registered(self, node, start=0, seconds=30.0):
        """The node's id, from its log; of one of Python's to 1.23, which logs none: True."""
        if node.programs == "python" and self.release.minor < 24:
            made = r"CreateNode|Activated node_id="
            return wait_until(
                lambda: len(re.findall(made, self.superlink.text())) >= len(self.nodes),
                "the node in the SuperLink's log",
                seconds,
            )
        pattern = {"ours": r"registered: node_id=(\d+)", "python": r"SuperNode ID: (\d+)"}
        return int(node.wait_log(pattern[node.programs], seconds, start).group(1))

    def start_flwr(self, *arguments):
        return self.start(self.name("flwr"), [self.bin / "flwr", *arguments], self.environ("cli"))

    def flwr(self, *arguments, seconds=60):
        """What `flwr` of this release says."""
        command = self.start_flwr(*arguments)
        status = command.wait(seconds)
        if status:
            raise RuntimeError(f"flwr {arguments[0]} ended with {status}:\n{command.text()}")
        return command.text()

    def run(self, app, overrides=None):
        """Hand an app in through `flwr run`; the run's id. The app's folder is copied first."""
        copy = self.copy_app(app)
        more = ["--run-config", overrides] if overrides else []
        text = self.flwr("run", copy, "local", "--format", "json", *more)
        found = re.search(r'"run-id": "?(\d+)', text)
        if not found:
            raise RuntimeError(f"flwr run has named no run:\n{text}")
        return int(found.group(1))

    def follow_run(self, run_id):
        """`flwr log` as a program whose output is what the ServerApp logs. Not each release ends it
        with the run; from 1.41 on nothing of this is sure to be in the SuperLink's own output."""
        where = [] if self.release.has_config_file else [self.copy_app(ANY_APP)]
        return self.start_flwr("log", run_id, *where, "local", "--stream")

    def wait_run(self, run_id, seconds=120):
        """Wait for the end of a run, and return the status that it has then."""
        where = [] if self.release.has_config_file else [self.copy_app(ANY_APP)]

        def ended():
            text = self.flwr("ls", *where, "local", "--run-id", run_id, "--format", "json")
            return (re.search(r'"status": "(finished:[^"]*)"', text) or [None, None])[1]

        return wait_until(ended, f"the end of run {run_id}", seconds, 0.5)

    def register(self, key):
        """Tell the SuperLink the public key of a node."""
        self.write_config_file()
        where = [] if self.release.has_config_file else [self.copy_app(ANY_APP)]
        text = self.flwr("supernode", "register", key.public, *where, "local", "--format", "json")
        if '"success": true' not in text:
            raise RuntimeError(f"the key was not registered:\n{text}")

    def copy_app(self, app):
        """A copy of an app's folder that names the SuperLink where this release looks for it."""
        copy = self.folder / "apps" / self.name("app") / Path(app).name
        shutil.copytree(app, copy, ignore=shutil.ignore_patterns("__pycache__"))
        pyproject = copy / "pyproject.toml"
        text = pyproject.read_text(encoding="utf-8")
        text = re.sub(r"^\[tool\.flwr\.federations.*\Z", "", text, flags=re.M | re.S)
        if not self.release.has_config_file:
            text += self.address_table("tool.flwr.federations")
        pyproject.write_text(text, encoding="utf-8")
        self.write_config_file()
        return copy

    def write_config_file(self):
        home = Path(self.environ("cli")["FLWR_HOME"])
        if self.release.has_config_file:
            (home / "config.toml").write_text(self.address_table("superlink"), encoding="utf-8")

    def address_table(self, name):
        """TOML that says where the SuperLink is."""
        _, _, port = self.release.superlink_ports(self.fleet, self.control, self.appio)
        how = "insecure = true"
        if self.certificates:
            how = f"root-certificates = {json.dumps(str(self.certificates.authority))}"
        return (
            f'[{name}]\ndefault = "local"\n\n'
            f'[{name}.local]\naddress = "127.0.0.1:{port}"\n{how}\n'
        )
