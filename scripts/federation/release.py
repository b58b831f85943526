"""The releases of Flower that are installed here, and how the programs of each want to be started."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / "build/python"
REQUIREMENTS = ROOT / "scripts/requirements"


class Release:
    """One release in an environment of its own."""

    def __init__(self, environment):
        self.environment = Path(environment)
        self.bin = self.environment / "bin"
        self.python = self.bin / "python"
        packages = self.environment.glob("lib/python3.*/site-packages")
        (info,) = (each for folder in packages for each in folder.glob("flwr-*.dist-info"))
        self.version = info.name.removeprefix("flwr-").removesuffix(".dist-info")
        self.minor = int(self.version.split(".")[1])

    def __repr__(self):
        return self.version

    @property
    def transport(self):
        """What its SuperLink speaks with SuperNodes."""
        return "HTTP" if self.minor >= 40 else "gRPC"

    @property
    def has_config_file(self):
        """`flwr` finds SuperLinks in config.toml, not in the app's pyproject.toml."""
        return self.minor >= 26

    @property
    def has_registered_keys(self):
        """Keys of nodes are registered by `flwr supernode register`, not listed in a file."""
        return self.minor >= 23

    @property
    def has_records_api(self):
        """Apps can be written with flwr.app, flwr.clientapp and flwr.serverapp."""
        return self.minor >= 21

    def superlink_ports(self, fleet, control, appio):
        """(options, ports that will answer, the one for `flwr`): those for nodes stay the same
        from release to release."""

        def at(port):
            return f"127.0.0.1:{port}"

        if self.minor >= 40:
            return {"--host": "127.0.0.1", "--port": fleet}, [fleet], fleet
        options = {"--fleet-api-address": at(fleet)}
        if self.minor >= 35:
            options |= {"--host": "127.0.0.1", "--port": appio}
        else:
            options["--serverappio-api-address"] = at(appio)
        if self.minor >= 37:
            return options, [fleet, appio], appio
        options["--control-api-address" if self.minor >= 21 else "--exec-api-address"] = at(control)
        return options, [fleet, control, appio], control

    def http_port(self, fleet, appio, tls):
        """(which of a SuperLink's ports answers to /health, or None; is it TLS), tls: if it has."""
        if self.minor >= 40:
            return fleet, tls
        return (appio, tls and self.minor >= 37) if self.minor >= 35 else (None, False)

    def launcher(self, address):
        """The command line of what asks a SuperNode for messages, and starts their workers."""
        if self.minor < 21:
            return ["flwr-clientapp", "--insecure", "--clientappio-api-address", address]
        where = "--runtime-api-address" if self.minor >= 36 else "--appio-api-address"
        plugin = ["--plugin-type", "clientapp"] if self.minor < 38 else []
        return ["flower-superexec", "--insecure", where, address, *plugin]

    def worker(self, address, *token):
        """The command line of its worker for one message; token: the option that has it."""
        where = "--runtime-api-address" if self.minor >= 36 else "--clientappio-api-address"
        once = ["--run-once"] if self.minor == 20 else []
        return ["flwr-clientapp", "--insecure", where, address, *token, *once]

    def superlink_options(self):
        """What a SuperLink needs to work without a package index."""
        return {"--disable-runtime-dependency-installation": True} if self.minor >= 32 else {}

    def supernode_ports(self, port):
        """Where Python's SuperNode serves its workers."""
        if self.minor >= 35:
            return {"--host": "127.0.0.1", "--port": port}
        return {"--clientappio-api-address": f"127.0.0.1:{port}"}


def known():
    """The versions that scripts/setup --all-releases installs, oldest first."""
    found = [each.stem.removeprefix("flower-") for each in REQUIREMENTS.glob("flower-*.txt")]
    for line in (REQUIREMENTS / "releases.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("flwr=="):
            found.append(line.split()[0].removeprefix("flwr=="))
    return sorted(found, key=lambda version: int(version.split(".")[1]))


def installed():
    """All that scripts/setup has finished, oldest first."""
    stamps = [*PYTHON.glob("flower-*/requirements.stamp")]
    stamps += PYTHON.glob("releases/*/requirements.stamp")
    return sorted((Release(stamp.parent) for stamp in stamps), key=lambda found: found.minor)


def find(version):
    """The release of this number, "1.39" or "1.39.0"."""
    for release in installed():
        if version in (release.version, f"1.{release.minor}"):
            return release
    raise LookupError(f"Flower {version} is not installed (scripts/setup --all-releases)")
