"""The manual pages: the options that there are, good mdoc, installed where man looks for them."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.ours

PAGES = Path(__file__).parents[2] / "man"
OPTION = r"(?:-(\w), )?--([\w-]+)(?: (\S+))?"


@pytest.fixture(params=["flower-superexec", "flower-supernode", "flwr-clientapp"])
def program(request):
    return request.param


def run(*argv, **more):
    return subprocess.run(
        argv, capture_output=True, encoding="utf-8", timeout=60, check=False, **more
    )


def page_of(program):
    return PAGES / f"{program}.1"


def tool(name):
    found = shutil.which(name)
    if not found:
        pytest.skip(f"{name} is not installed (scripts/setup --for-tests installs mandoc)")
    return found


def section(program, name):
    text = page_of(program).read_text(encoding="utf-8")
    return re.search(rf"^\.Sh {name}\n(.*?)(?=^\.Sh )", text, re.MULTILINE | re.DOTALL).group(1)


def program_says(program, *arguments):
    return run(Path(os.environ["FLWR_BIN_DIR"]) / program, *arguments)


def test_options(program):
    """Each that --help prints, with its letter and its value's name, and no other."""
    help_text = program_says(program, "--help").stdout
    helped = re.findall(rf"^  {OPTION}(?:  .*)?$", help_text, re.MULTILINE)
    items = re.findall(r"^\.It (Fl .*)$", section(program, "OPTIONS"), re.MULTILINE)
    shown = [item.replace(" , ", ", ").replace("Fl ", "-").replace("Ar ", "") for item in items]
    told = [re.fullmatch(OPTION, item).groups(default="") for item in shown]
    assert len(helped) > 5
    assert sorted(told) == sorted((letter, name, value.lower()) for letter, name, value in helped)


def test_refused_options(program):
    """Those that the text behind the list names are known, and refused."""
    _, _, behind = section(program, "OPTIONS").rpartition("\n.El\n")
    listed = set(re.findall(r"^\.It .*?Fl -([\w-]+)", section(program, "OPTIONS"), re.MULTILINE))
    refused = set(re.findall(r"Fl -([\w-]+)", behind)) - listed
    assert refused
    for name in refused:
        said = program_says(program, f"--{name}")
        if "needs a value" in said.stderr:
            said = program_says(program, f"--{name}", "x:1")
        assert said.returncode == 2 and f"--{name}" in said.stderr, name
        assert re.search(r"not in this version| is called ", said.stderr), said.stderr


def test_lint(program):
    lint = run(tool("mandoc"), "-T", "lint", "-W", "warning", page_of(program))
    assert (lint.stdout + lint.stderr, lint.returncode) == ("", 0)


@pytest.mark.parametrize("reader", [("man", "--warnings", "-l"), ("mandoc", "-T", "utf8", "-l")])
def test_shown(program, reader):
    """Without a complaint, and to the end."""
    name, *options = reader
    environ = {**os.environ, "LC_ALL": "C.UTF-8", "MANWIDTH": "80", "MANPAGER": "cat"}
    shown = run(tool(name), *options, page_of(program), env=environ)
    assert (shown.stderr, shown.returncode) == ("", 0)
    text = re.sub(r".\x08", "", shown.stdout)
    assert re.search(r"^NAME\n +" + program, text, re.MULTILINE)
    assert re.search(r"^CAVEATS$", text, re.MULTILINE)


def test_installed(tmp_path):
    build = Path(os.environ["FLWR_BIN_DIR"]).parent
    installed = run("cmake", "--install", build, "--prefix", tmp_path)
    assert installed.returncode == 0, installed.stderr
    there = {page.name: page.read_bytes() for page in (tmp_path / "share/man/man1").iterdir()}
    assert there == {page.name: page.read_bytes() for page in PAGES.glob("*.1")}
