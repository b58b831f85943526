"""The environment and the paths, as Flower's users write them."""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.ours

NO_PID = 2**22 + 1  # above what Linux gives
NOWHERE = ["--insecure", "--superlink", "127.0.0.1:1", "--max-retries", "0"]


def run(program, arguments, home, **more):
    return subprocess.run(
        [Path(os.environ["FLWR_BIN_DIR"]) / program, *arguments],
        env={**os.environ, "HOME": str(home), **more},
        cwd=home,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=60,
        check=False,
    )


# ---- paths ----

# No value is a directory or a file without its ~; the last item is a part of what is said.
TILDES = [
    ("flower-supernode", [*NOWHERE, "--node-config=~/node.toml"], "gave up on SuperLink"),
    ("flower-supernode", [*NOWHERE, "--flwr-dir=~/apps"], "gave up on SuperLink"),
    ("flower-supernode", [*NOWHERE, "--state-dir=~/state"], "gave up on SuperLink"),
    ("flower-supernode", [*NOWHERE, "--python=~/python3"], "gave up on SuperLink"),
    ("flower-supernode", ["--root-certificates=~/a.file"], "HOME/a.file has no certificate"),
    ("flower-supernode", ["--auth-supernode-private-key=~/a.file"], "HOME/a.file "),
    ("flower-supernode", [*NOWHERE, "--trusted-entities=~/a.file"], "HOME/a.file: "),
    ("flwr-clientapp", ["--insecure", "--token-file=~/a.file"], "takes the decimal number"),
    ("flwr-clientapp", ["--insecure", "--flwr-dir=~/a.file"], "HOME/a.file cannot be written"),
    ("flwr-clientapp", ["--insecure", "--python=~/none"], "HOME/none"),
]


@pytest.mark.parametrize("program, arguments, says", TILDES)
def test_tilde(program, arguments, says):
    # A socket's path must be short.
    with tempfile.TemporaryDirectory(prefix="home-") as home:
        expand_tilde(Path(home), program, arguments, says)


def expand_tilde(tmp_path, program, arguments, says):
    (tmp_path / "node.toml").write_text("partition-id = 3\n", encoding="utf-8")
    (tmp_path / "a.file").write_text("x\n", encoding="utf-8")
    (tmp_path / "python3").symlink_to("/bin/true")
    done = run(program, arguments, tmp_path)
    assert says.replace("HOME", str(tmp_path)) in done.stderr, done.stderr
    assert "~" not in done.stderr
    assert not (tmp_path / "~").exists()


# ---- the log's level ----

# By FLWR_LOG_LEVEL: are there lines of level info, warn and error?
LEVELS = {
    "": (True, True, True),
    "Error": (False, False, True),
    "WARNING": (False, True, True),
    "critical": (False, False, False),
    "nonsense": (True, True, True),
}


def levels_of(text):
    return tuple(bool(re.search(rf"[ m]{word}", text)) for word in ("INFO", "WARN", "ERROR"))


@pytest.mark.parametrize("level", LEVELS)
def test_log_level(tmp_path, level):
    """As Flower's own program has it."""
    flower = Path(sys.prefix) / "bin/flower-supernode"
    # What one warns about is of no matter to the other.
    ours = [*NOWHERE, "--superlink", "grpc://127.0.0.1:1"]
    said = run("flower-supernode", ours, tmp_path, FLWR_LOG_LEVEL=level)
    assert levels_of(said.stderr) == LEVELS[level], said.stderr
    assert "INFO" in said.stderr or "worker API" not in said.stderr
    try:
        theirs = run(
            flower, NOWHERE, tmp_path, FLWR_LOG_LEVEL=level, FLWR_TELEMETRY_ENABLED="0"
        ).stderr
    except subprocess.TimeoutExpired as hanging:
        # Flower's program sometimes does not end after its last line, and at some levels it has none.
        theirs = (hanging.stderr or b"").decode(errors="replace")
    assert levels_of(theirs) == LEVELS[level], theirs


def test_log_level_option(tmp_path):
    """What the option says holds."""
    arguments = [*NOWHERE, "--log-level", "info"]
    said = run("flower-supernode", arguments, tmp_path, FLWR_LOG_LEVEL="ERROR")
    assert levels_of(said.stderr)[0]


@pytest.mark.parametrize("program", ["flower-supernode", "flwr-clientapp"])
def test_told_once(tmp_path, program):
    """Of what has no effect, and of no other."""
    arguments = {
        "flower-supernode": NOWHERE,
        "flwr-clientapp": ["--insecure", "--token", "1", "--parent-pid", str(NO_PID)],
    }
    variables = {
        "FLWR_TRACING_ENABLED": "1",
        "FLWR_TELEMETRY_ENABLED": "0",
        "FLWR_DISABLE_UPDATE_CHECK": "1",
    }
    said = run(program, arguments[program], tmp_path, **variables)
    (line,) = [line for line in said.stderr.splitlines() if "FLWR_" in line]
    assert " WARN " in line and "FLWR_TRACING_ENABLED has no effect: " in line
