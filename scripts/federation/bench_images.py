"""The sizes of the images of docker/, and how long a node takes from a registry to the SuperLink,
beside Python's. Run by the python of the newest release, for scripts/bench --images."""

import contextlib
import json
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from .images import build, docker, has_engine
from .measure import cell, machine, number, parse
from .processes import accepts, free_ports, wait_until
from .release import Release
from .standin_objects import ObjectsStandIn

RELEASE = "1.41.0"
PROJECT = f"flwr-bench-{os.getpid()}"
# What is pulled instead of Flower's own image has what that has, with the base of ours.
TARGETS = {"ours": "supernode", "python": "flower"}
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
MB = 1e6
FIGURES = [
    ("image, unpacked", "MB", "1/8 of Python's"),
    ("... as it is pulled", "MB", ""),
    ("pull to registered", "s", ""),
    ("... of it the pull", "s", ""),
]
REGISTRY = """
version: 0.1
log: {{level: error, accesslog: {{disabled: true}}}}
storage: {{filesystem: {{rootdirectory: {folder}/store}}, delete: {{enabled: true}}}}
http: {{addr: 127.0.0.1:{port}}}
"""


@contextlib.contextmanager
def registry(folder):
    """One on this machine (Debian's docker-registry); its address."""
    (port,) = free_ports(1)
    config = folder / "registry.yml"
    config.write_text(REGISTRY.format(folder=folder, port=port), encoding="utf-8")
    with open(folder / "registry.log", "wb") as log:
        server = subprocess.Popen(["docker-registry", "serve", config], stdout=log, stderr=log)
    try:
        wait_until(lambda: accepts(port), "the registry answers")
        yield f"127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(30)


def size(image):
    return int(docker("image", "inspect", "-f", "{{.Size}}", image)) / MB


def pulled_size(address, name):
    """What a pull transfers, in MB: the layers as the registry has them."""
    where = f"http://{address}/v2/{name}/manifests/latest"
    request = urllib.request.Request(where, headers={"Accept": MANIFEST})
    with urllib.request.urlopen(request, timeout=30) as answer:
        manifest = json.load(answer)
    return sum(layer["size"] for layer in manifest["layers"]) / MB


def push(image, tag):
    """As one layer: an engine does not pull the layers that other images here have, too."""
    (config,) = [each["Config"] for each in json.loads(docker("image", "inspect", image))]
    changes = [f"ENV {each}" for each in config["Env"]]
    changes += [f"USER {config['User']}", f"WORKDIR {config['WorkingDir']}"]
    changes += ['ENTRYPOINT ["flower-supernode"]']
    container = docker("create", image, "nothing").split()[-1]
    try:
        with subprocess.Popen(["docker", "export", container], stdout=subprocess.PIPE) as export:
            given = [word for change in changes for word in ("--change", change)]
            docker("import", *given, "-", tag, stdin=export.stdout)
    finally:
        docker("rm", container)
    docker("push", tag)
    docker("rmi", tag)


def arguments(programs, address):
    """A node that starts nothing; both are told the same."""
    worker_api, health = free_ports(2)
    usual = ["--insecure", "--superlink", address, "--isolation", "process"]
    if programs == "python":
        ports = Release(Path(sys.prefix)).supernode_ports(worker_api)
        return usual + [str(word) for pair in ports.items() for word in pair]
    usual += ["--clientappio-api-address", f"127.0.0.1:{worker_api}"]
    return [*usual, "--health-server-address", f"127.0.0.1:{health}"]


def start(programs, tag, standin):
    """(seconds of the pull, seconds until the node is registered)"""
    standin.forget()
    options = ["-d", "--network", "host"]
    options += ["-e", "FLWR_TELEMETRY_ENABLED=0", "-e", "FLWR_DISABLE_UPDATE_CHECK=1"]
    begin = time.time()
    docker("pull", "-q", tag)
    pulled = time.time()
    started = docker("run", *options, tag, *arguments(programs, standin.address))
    node = started.split()[-1]
    try:
        registered = standin.wait_online(120)
    except Exception:
        print(docker("logs", node)[-5000:], file=sys.stderr)
        raise
    finally:
        docker("rm", "-f", node)
        docker("rmi", tag)
    return pulled - begin, registered - begin


def measure(options, programs, values, folder):
    standin = ObjectsStandIn(("", b""))
    try:
        with registry(folder) as address:
            tags = {each: f"{address}/{TARGETS[each]}" for each in programs}
            for each in programs:
                push(f"{PROJECT}/{TARGETS[each]}", tags[each])
                values["... as it is pulled", each] = [pulled_size(address, TARGETS[each])]
            for run in range(options.runs):
                for each in programs:
                    print(f"run {run + 1} of {options.runs}: {each}", file=sys.stderr, flush=True)
                    pull, whole = start(each, tags[each], standin)
                    values.setdefault(("... of it the pull", each), []).append(pull)
                    values.setdefault(("pull to registered", each), []).append(whole)
    finally:
        standin.close()


def row(values, figure, unit, goal):
    theirs, ours = (values.get((figure, each), []) for each in ("python", "ours"))
    ratio = "-"
    if theirs and ours:
        ratio = f"{statistics.median(ours) / statistics.median(theirs):.3f}"
    return f"| {figure}, {unit} | {cell(theirs)} | {cell(ours)} | {ratio} | {goal} |"


def main():
    options = parse(__doc__)
    if not has_engine() or not Path("/usr/bin/docker-registry").exists():
        sys.exit("--images needs a Docker engine, and Debian's package docker-registry")
    programs = [options.programs] if options.programs else ["python", "ours"]
    images = {target: f"{PROJECT}/{target}" for target in ("supernode", "flower", "superexec")}
    values = {}
    try:
        print("building the images", file=sys.stderr, flush=True)
        build(images, FLWR_VERSION=RELEASE)
        for each in programs:
            values["image, unpacked", each] = [size(images[TARGETS[each]])]
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            measure(options, programs, values, Path(folder))
        superexec = size(images["superexec"])
    finally:
        docker("rmi", *images.values(), check=False)
    lines = [
        f"Medians (smallest - largest) of {options.runs} runs in turn, by "
        f"`{shlex.join(['scripts/bench', *sys.argv[1:]])}` on {machine()}.",
        "",
        f"| figure | Python's {RELEASE} | ours | ours / Python's | to reach |",
        "|---|---|---|---|---|",
        *(row(values, *figure) for figure in FIGURES),
        "",
        f"`superexec`, with Flower {RELEASE}, has {number(superexec)} MB.",
    ]
    text = "\n".join(lines) + "\n"
    print(text, end="")
    if options.write:
        options.write.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
