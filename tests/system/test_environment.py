"""The environment and the paths, as Flower's users write them."""

import os
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.ours

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
def test_tilde(tmp_path, program, arguments, says):
    (tmp_path / "node.toml").write_text("partition-id = 3\n", encoding="utf-8")
    (tmp_path / "a.file").write_text("x\n", encoding="utf-8")
    (tmp_path / "python3").symlink_to("/bin/true")
    done = run(program, arguments, tmp_path)
    assert says.replace("HOME", str(tmp_path)) in done.stderr, done.stderr
    assert "~" not in done.stderr
    assert not (tmp_path / "~").exists()
