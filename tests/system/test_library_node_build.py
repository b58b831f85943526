"""libflwr as strangers build against it: symbols, pkg-config, CMake, shared and static."""

import os
import re
import shutil

import pytest
from flwr_library import folder
from test_library_build import PAGE, ROOT, STRANGERS, library_dir, prefix, run, symbols

__all__ = ["prefix"]  # a fixture

pytestmark = pytest.mark.ours


def declared():
    """The functions that <flwr/client.h> declares."""
    text = (ROOT / "include/flwr/client.h").read_text(encoding="utf-8")
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    return set(re.findall(r"FLWR_API\b[^;(]*?\b(flwr_\w+)\s*\(", text))


def test_page_names_every_function():
    assert {name for name in declared() if f"{name}(" not in PAGE} == set()


def test_symbols_of_the_shared_library():
    """All that is declared is there, and nothing else."""
    seen = symbols("--dynamic", "--defined-only", "--extern-only", folder() / "libflwr.so")
    assert set(seen) - {"FLWR_0"} == declared()
    assert {seen[name] for name in declared()} == {"FLWR_0"}


def test_symbols_of_the_static_library():
    """But for C++'s own, which are the same everywhere, no name of the library's can be seen."""
    lines = run("nm", "--defined-only", "--extern-only", folder() / "libflwr.a").splitlines()
    seen = {line.split()[-1] for line in lines if len(line.split()) == 3}
    assert {name for name in seen if not name.startswith(("_Z", "DW.ref."))} == declared()


def test_needed_libraries():
    """It is not unloaded, since gRPC's threads stay; what reads archives is not in it."""
    text = run("readelf", "--dynamic", folder() / "libflwr.so")
    assert "[libflwr.so.0]" in text and "NODELETE" in text
    assert "[libflwr-app.so.0]" in text and "archive" not in text


# What would end, fork or change the program that a library is in, or write to its output.
NOT_CALLED = """
    _exit abort atexit chdir clearenv clone daemon execl execlp execv execve execvp exit fchdir fork
    mallopt malloc_trim on_exit popen posix_spawn posix_spawnp printf prctl putchar putenv puts quick_exit
    setenv setlocale setpgid setpriority setsid sigaction signal stdout system umask unsetenv vfork
    vprintf getpwnam getpwuid localtime strtok
"""


@pytest.mark.parametrize("name", ["libflwr.so", "libflwr-app.so"])
def test_what_a_library_does_not_call(name):
    lines = run("nm", "--dynamic", "--undefined-only", folder() / name).splitlines()
    seen = {line.split()[-1].partition("@")[0] for line in lines}
    assert "malloc" in seen
    assert seen & set(NOT_CALLED.split()) == set()


@pytest.mark.parametrize("static", [False, True], ids=["shared", "static"])
def test_makefile(prefix, tmp_path, static):
    shutil.copytree(STRANGERS / "node", tmp_path / "project")
    libraries = library_dir(prefix)
    environment = os.environ | {
        "PKG_CONFIG_PATH": str(libraries / "pkgconfig"),
        "LD_LIBRARY_PATH": str(libraries),
    }
    run("make", "-C", tmp_path / "project", "check", *(["STATIC=1"] if static else []), env=environment)
    linked = run("readelf", "--dynamic", tmp_path / "project/client")
    assert ("libflwr.so.0" in linked) is not static
    assert "libflwr-app.so.0" not in linked or not static


def test_cmake(prefix, tmp_path):
    run("cmake", "-S", STRANGERS / "node", "-B", tmp_path, f"-DCMAKE_PREFIX_PATH={prefix}")
    run("cmake", "--build", tmp_path)
    for program in ("client", "client-static"):
        assert run(tmp_path / program).strip() == "FLWR_E_CONNECT 42 43", program
