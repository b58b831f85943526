"""The newest release: one federation serves all tests of a module, or one test alone."""

import contextlib

import pytest
from federation.release import find
from tested import TestedFederation, binaries

NEWEST = "1.41.0"


@contextlib.contextmanager
def federation_of(request, folder, version):
    """A federation of that release, in which nothing runs yet; its logs are shown when a test has
    failed meanwhile."""
    try:
        release = find(version)
    except LookupError as error:
        pytest.skip(str(error))
    if request.config.getoption("--programs") != "ours":
        pytest.skip("only for our programs")
    federation = TestedFederation(folder / "lab", release.environment, binaries())
    failed = request.session.testsfailed
    try:
        yield federation
    finally:
        wrong = federation.finish()
        if wrong or request.session.testsfailed > failed:
            federation.show_logs()
    assert not wrong, "\n".join(wrong)


def newest_federation(request, folder):
    return federation_of(request, folder, NEWEST)
