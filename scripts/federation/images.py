"""The images of docker/, built of what git would commit, and commands that say why they failed."""

import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD_S = 3000
COMMAND_S = 300


def run(*argv, check=True, seconds=COMMAND_S, **more):
    """What it said, on both."""
    done = subprocess.run(argv, capture_output=True, timeout=seconds, check=False, **more)
    said = (done.stdout + done.stderr).decode(errors="replace")
    assert not check or done.returncode == 0, f"{argv}: {done.returncode}\n{said}"
    return said


def docker(*argv, **more):
    return run("docker", *argv, **more)


def has_engine():
    """Is there a Docker engine that we may use?"""
    if not shutil.which("docker"):
        return False
    return not subprocess.run(["docker", "version"], capture_output=True, check=False).returncode


def context():
    """A tar of the project without what git ignores."""
    files = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(files, cwd=ROOT, capture_output=True, check=True).stdout
    names = [name for name in listed.split(b"\0") if name and (ROOT / os.fsdecode(name)).exists()]
    tar = ["tar", "-C", ROOT, "-c", "--null", "-T", "-"]
    packed = subprocess.run(tar, input=b"\0".join(names), capture_output=True, check=True)
    return packed.stdout


def build(tags, **arguments):
    """tags: target -> name of the image; arguments: those of the Dockerfile."""
    given = []
    for name, value in arguments.items():
        given += ["--build-arg", f"{name}={value}"]
    packed = context()
    for target, tag in tags.items():
        argv = ["build", "-f", "docker/Dockerfile", "--target", target, "-t", tag, *given, "-"]
        docker(*argv, input=packed, seconds=BUILD_S)
