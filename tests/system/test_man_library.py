"""The manual pages of the C library: each function as the headers have it, good mdoc, found by its name."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.ours

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "man/library").glob("*.3"))
ids = [page.stem for page in PAGES]


def run(*argv, **more):
    return subprocess.run(argv, capture_output=True, encoding="utf-8", timeout=60, check=False, **more)


def tool(name):
    found = shutil.which(name)
    if not found:
        pytest.skip(f"{name} is not installed (scripts/setup --for-tests installs mandoc)")
    return found


def plain(declaration):
    return re.sub(r"\s*([(),*])\s*", r"\1", " ".join(declaration.split()))


def headers():
    """The declarations in the headers, by name."""
    found = {}
    for header in (ROOT / "include/flwr").glob("*.h"):
        text = re.sub(r"/\*.*?\*/|^#.*?$", "", header.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
        text = re.sub(r"FLWR_PRINTF\([^)]*\)", "", text)
        for result, name, arguments in re.findall(r"FLWR_API\s+([^;]*?)\b(flwr_\w+)\s*\(([^;]*)\)\s*;", text):
            found[name] = plain(f"{result} {name}({arguments})")
    return found


def synopsis(page):
    """The same of a page."""
    text = page.read_text(encoding="utf-8")
    text = re.search(r"^\.Sh SYNOPSIS\n(.*?)^\.Sh ", text, re.MULTILINE | re.DOTALL).group(1)
    found, result, name, arguments = {}, "", "", []
    for line in text.splitlines():
        macro, _, rest = line.partition(" ")
        words = [quoted or word for quoted, word in re.findall(r'"([^"]*)"|(\S+)', rest)]
        if macro == ".Ft":
            result = words[0]
        elif macro == ".Fn":
            found[words[0]] = plain(f"{result} {words[0]}({','.join(words[1:])})")
        elif macro == ".Fo":
            name, arguments = words[0], []
        elif macro == ".Fa":
            arguments += words
        elif macro == ".Fc":
            found[name] = plain(f"{result} {name}({','.join(arguments)})")
    return found


def test_every_function_has_its_page():
    told = {}
    for page in PAGES:
        for name, declaration in synopsis(page).items():
            assert name not in told, name
            told[name] = declaration
    declared = headers()
    assert declared.keys() - told.keys() == set()
    assert told == {name: declared.get(name) for name in told}


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_lint(page):
    lint = run(tool("mandoc"), "-T", "lint", "-W", "warning", page)
    assert (lint.stdout + lint.stderr, lint.returncode) == ("", 0)


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_names_and_references(page):
    """NAME has the functions of the SYNOPSIS; what SEE ALSO names is there."""
    text = page.read_text(encoding="utf-8")
    assert re.findall(r"^\.Nm (\w+)", text, re.MULTILINE) == list(synopsis(page))
    for name in re.findall(r"^\.Xr (\S+) 3", text, re.MULTILINE):
        assert name in ids or any(name in synopsis(other) for other in PAGES), name


def test_found_by_name(tmp_path):
    """man finds each function where `cmake --install` has put the pages."""
    build = Path(os.environ["FLWR_BIN_DIR"]).parent
    installed = run("cmake", "--install", build, "--prefix", tmp_path)
    assert installed.returncode == 0, installed.stderr
    environ = {**os.environ, "LC_ALL": "C.UTF-8", "MANWIDTH": "80", "MANPAGER": "cat"}
    for page in PAGES:
        for name in {page.stem, *synopsis(page)}:
            shown = run(tool("man"), "-M", tmp_path / "share/man", "3", name, env=environ)
            assert (shown.stderr, shown.returncode) == ("", 0)
            assert "LIBRARY" in shown.stdout
