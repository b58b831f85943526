"""libflwr-app as strangers build against it: headers, symbols, CMake, Makefiles, C and C++."""

import ctypes as C
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from flwr_library import ARRAYS, DTYPES, POINTER, TEXT, folder, load

pytestmark = pytest.mark.ours

ROOT = Path(__file__).resolve().parents[2]
STRANGERS = Path(__file__).parent / "strangers"
WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Werror"]
HEADERS = sorted(path.name for path in (ROOT / "include" / "flwr").iterdir())
COMPILERS = [
    pytest.param(
        program,
        marks=pytest.mark.skipif(not shutil.which(program), reason=f"{program} is not installed"),
    )
    for program in ("gcc", "clang", "g++", "clang++")
]


def run(*command, **more):
    done = subprocess.run(
        [str(word) for word in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
        **more,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def prefix(tmp_path_factory):
    """All that `cmake --install` puts somewhere, moved after it: nothing may know where it was."""
    place = tmp_path_factory.mktemp("installed")
    run("cmake", "--install", Path(os.environ["FLWR_BIN_DIR"]).parent, "--prefix", place / "first")
    (place / "first").rename(place / "moved")
    return place / "moved"


def library_dir(prefix):
    return next(prefix.rglob("libflwr-app.so")).parent


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("header", HEADERS)
def test_header_alone(tmp_path, header, compiler):
    """Each header needs no other before it and brings no warning, in each language."""
    plus = compiler.endswith("++")
    if header.endswith(".hpp") and not plus:
        pytest.skip("a header for C++ alone")
    source = tmp_path / ("alone.cpp" if plus else "alone.c")
    source.write_text(f"#include <flwr/{header}>\n#include <flwr/{header}>\n", encoding="utf-8")
    more = ["-Wold-style-cast"] if plus else ["-Wstrict-prototypes"]
    for standard in ["c++17", "c++20"] if plus else ["c11", "c17"]:
        run(compiler, f"-std={standard}", *WARNINGS, *more, "-I", ROOT / "include", "-c", source, "-o", tmp_path / "o")


def test_cpp_header_is_short():
    assert len((ROOT / "include/flwr/flwr.hpp").read_text(encoding="utf-8").splitlines()) <= 300


def declared():
    """The functions that the headers of libflwr-app declare."""
    names = set()
    for header in ("flwr.h", "records.h", "message.h", "clientapp.h"):
        text = (ROOT / "include/flwr" / header).read_text(encoding="utf-8")
        text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
        names |= set(re.findall(r"FLWR_API\b[^;(]*?\b(flwr_\w+)\s*\(", text))
    return names - {"flwr_app"}  # the app's


def symbols(*options):
    """The defined symbols, each with its version."""
    lines = run("nm", "--with-symbol-versions", *options).splitlines()
    return dict(line.split()[-1].partition("@@")[::2] for line in lines if line.split()[-2:-1] != ["U"])


PAGE = (ROOT / "docs/library.md").read_text(encoding="utf-8")


def test_page_names_every_function():
    assert {name for name in declared() if f"{name}(" not in PAGE} <= NAMED_TOGETHER


# flwr_get_...() and flwr_set_...() are told of as pairs.
NAMED_TOGETHER = {
    f"flwr_set_{kind}" for kind in ("bool", "int", "double", "string", "bytes", "ints", "doubles", "value")
}


@pytest.mark.parametrize("language, compiler", [("c", "gcc"), ("cpp", "g++")])
def test_apps_of_the_page(tmp_path, language, compiler):
    """The page's apps are built as it says, and train."""
    blocks = re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    (block,) = [block for block in blocks if re.search(r"\*flwr_app\((void)?\)\n", block)]
    source = tmp_path / f"app.{language}"
    source.write_text(block, encoding="utf-8")
    run(
        compiler, *WARNINGS, "-g", "-DWITHOUT_LR", "-I", ROOT / "include", "-o", tmp_path / "program", source,
        STRANGERS / "program.c" if language == "c" else program_object(tmp_path),
        f"-L{folder()}", "-lflwr-app", f"-Wl,-rpath,{folder()}",
    )  # fmt: skip
    assert run(tmp_path / "program").strip() == "w = 0.5 0.75"


def test_example_cpp():
    """The app of examples/cpp is called, with weights that fit and with others."""
    library = load()
    app = C.CDLL(folder().parent / "examples/bin/cpp-app.so").flwr_app
    app.restype = POINTER
    library.flwr_clientapp_call.argtypes = [POINTER, TEXT, POINTER, TEXT, POINTER, POINTER]
    library.flwr_get_double.argtypes = [POINTER, TEXT, C.POINTER(C.c_double)]
    content, reply = library.flwr_dict_new(), library.flwr_dict_new()

    def evaluate(*weights):
        shape, data = (C.c_int64 * 1)(len(weights)), (C.c_float * len(weights))(*weights)
        arrays = library.flwr_dict_add(content, b"arrays", ARRAYS)
        assert library.flwr_set_array(arrays, b"w", DTYPES["float32"], 1, shape, data) == 0
        return library.flwr_clientapp_call(app(), b"evaluate", content, None, None, reply)

    distance = C.c_double()
    assert evaluate(1, 2, 3, 9) == 0
    assert library.flwr_get_double(library.flwr_dict_get(reply, b"metrics"), b"distance", distance) == 0
    assert distance.value == 5
    assert evaluate(1, 2) < 0
    assert library.flwr_error() == b"w has not as many elements as there is data"
    library.flwr_dict_free(content)
    library.flwr_dict_free(reply)


def program_object(place):
    run("gcc", "-c", "-I", ROOT / "include", "-o", place / "program.o", STRANGERS / "program.c")
    return place / "program.o"


def test_symbols_of_the_shared_library():
    """All that is declared is there, and nothing else."""
    seen = symbols("--dynamic", "--defined-only", "--extern-only", folder() / "libflwr-app.so")
    versions = {"FLWR_0", "FLWR_PRIVATE"}
    assert {name for name, version in seen.items() if version == "FLWR_0"} - versions == declared()
    private = {name for name, version in seen.items() if version == "FLWR_PRIVATE"} - versions
    assert private and all(name.startswith("flwr_private_") for name in private)
    assert set(seen) - versions == declared() | private


@pytest.mark.parametrize("file", ["app/flwr-app.abi", "node/flwr.abi"])
def test_no_function_is_taken_away(file):
    """The list changes when a function is added, and never otherwise."""
    listed = (ROOT / "libflwr" / file).read_text(encoding="utf-8").splitlines()[1:]
    assert listed == sorted(set(listed))
    library = folder() / f"lib{Path(file).stem}.so"
    seen = symbols("--dynamic", "--defined-only", "--extern-only", library)
    public = {name for name, version in seen.items() if version == "FLWR_0"} - {"FLWR_0"}
    assert set(listed) - public == set(), "programs that call these would not start any more"
    assert public - set(listed) == set(), f"new ones: add them to libflwr/{file}"


def test_symbols_of_the_static_library():
    """Internal names are local: a program may have its own slice_ref() and error_set()."""
    lines = run("nm", "--defined-only", "--extern-only", folder() / "libflwr-app.a").splitlines()
    seen = {line.split()[-1] for line in lines if len(line.split()) == 3}
    assert {name for name in seen if not name.startswith("flwr_private_")} == declared()


def test_needs_libc_only():
    """No other library comes into an app's process."""
    lines = run("readelf", "--dynamic", folder() / "libflwr-app.so").splitlines()
    needed = {line.split("[")[1].rstrip("]") for line in lines if "(NEEDED)" in line}
    assert needed <= {"libc.so.6", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"}
    assert any("(SONAME)" in line and "[libflwr-app.so.0]" in line for line in lines)


@pytest.mark.parametrize("static", [False, True], ids=["shared", "static"])
def test_makefile(prefix, tmp_path, static):
    """A stranger's Makefile, with pkg-config."""
    shutil.copytree(STRANGERS, tmp_path / "project")
    libraries = library_dir(prefix)
    environment = os.environ | {
        "PKG_CONFIG_PATH": str(libraries / "pkgconfig"),
        "LD_LIBRARY_PATH": str(libraries),
    }
    run("make", "-C", tmp_path / "project", "check", *(["STATIC=1"] if static else []), env=environment)
    linked = run("readelf", "--dynamic", tmp_path / "project" / "program")
    assert ("libflwr-app.so.0" in linked) is not static


def test_cmake(prefix, tmp_path):
    """A stranger's CMake project: a program of each kind, an app, and C++."""
    run("cmake", "-S", STRANGERS, "-B", tmp_path, f"-DCMAKE_PREFIX_PATH={prefix}", "-DCMAKE_BUILD_TYPE=Debug")
    run("cmake", "--build", tmp_path)
    for program in ("program", "program-static", "program-cpp"):
        assert run(tmp_path / program).strip() == "w = 0.5 0.75", program
    assert run(tmp_path / "check-cpp") == ""
    assert "libflwr-app.so.0" in run("readelf", "--dynamic", tmp_path / "libapp.so")
    assert " flwr_app" in run("nm", "--dynamic", "--defined-only", tmp_path / "libapp.so")


def test_cmake_asks_for_a_version(prefix, tmp_path):
    """find_package(Flwr 9) fails: there is none."""
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.16)\nproject(x C)\nfind_package(Flwr 9 REQUIRED)\n", encoding="utf-8"
    )
    done = subprocess.run(
        ["cmake", "-S", tmp_path, "-B", tmp_path / "build", f"-DCMAKE_PREFIX_PATH={prefix}"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode != 0 and "0.1.0" in done.stderr
