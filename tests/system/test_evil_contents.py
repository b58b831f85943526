"""Contents and bundles of few bytes that stand for many, or that have no end, of a SuperLink that
lies."""

import pytest
from kit.superlink.contents import (
    in_pieces,
    many_chunks,
    one_chunk_of_many_uses,
    one_record_of_many_names,
)
from kit.superlink.fab import make_fab
from kit.superlink.steps import raw
from test_evil_superlink import MESSAGE_FAILED, scene, spoken, with_objects

pytestmark = pytest.mark.ours

MIB = 1 << 20
BUDGET = {"--memory-budget": "64M"}
OVER = rf"more than {64 * MIB} bytes when its arrays are written out .* memory budget"
WORKER_LINE = r"the message takes more than"


@with_objects
@pytest.mark.parametrize(
    "make, n, bytes",
    [(one_record_of_many_names, 300, 5 * MIB), (one_chunk_of_many_uses, 65536, MIB)],
    ids=["names", "uses"],
)
def test_few_objects_stand_for_many(federation, dialect, transport, make, n, bytes):
    """A worker builds no more of it than the budget has, and says so."""
    with scene(federation, dialect, transport, MESSAGE_FAILED.format(8), options=BUDGET) as at:
        federation.expect(WORKER_LINE, r"message \w+ failed: code=8")
        parcel = make(at.link, n, bytes)
        assert sum(map(len, parcel.objects.values())) < 8 * MIB
        at.fails(at.link.hand_in(parcel), 8, OVER)


@with_objects
def test_objects_without_an_end(federation, dialect, transport):
    """The download ends as soon as it is certain that they do not fit; no worker is started."""
    with scene(federation, dialect, transport, MESSAGE_FAILED.format(8), options=BUDGET) as at:
        parcel = many_chunks(at.link, 60, 4 * MIB)
        started = at.node.text().count("worker started")
        asked = at.link.calls["PullObject"]
        at.fails(at.link.hand_in(parcel), 8, OVER)
        assert at.link.calls["PullObject"] - asked < 40
        assert at.node.text().count("worker started") == started


@with_objects
def test_objects_fill_no_disk(federation, dialect, transport):
    options = {"--spool-max": "32M"}
    with scene(federation, dialect, transport, MESSAGE_FAILED.format(3), options=options) as at:
        at.fails(at.link.hand_in(many_chunks(at.link, 40, 4 * MIB)), 3, "--spool-max")


@spoken
def test_content_in_pieces(federation, dialect, transport):
    """It is read on the side, and costs about its bytes."""
    with scene(federation, dialect, transport, MESSAGE_FAILED.format(r"\d+")) as at:
        federation.expect(r"message \S+ failed: code=")
        parcel, body = in_pieces(at.link, 12 * MIB)
        at.link.script("PullMessages", raw(body))
        assert at.link.wait_reply(parcel.id).message.HasField("error")


HEAD = '[project]\nname = "evil"\nversion = "1"\n[tool.flwr.app]\npublisher = "x"\n'
PROJECTS = {
    "bom": "\ufeff[" + ".".join(["a"] * 60000) + "]\n",
    "flatten": f"{HEAD}[tool.flwr.app.config.{'k' * 60000}]\n"
    + "".join(f"k{number}=1\n" for number in range(6000)),
}


@spoken
@pytest.mark.parametrize("project", PROJECTS.values(), ids=PROJECTS.keys())
def test_bundle_of_odd_toml(federation, dialect, transport, project):
    """It is no bundle, and its reader costs no more than it may."""
    with scene(federation, dialect, transport, MESSAGE_FAILED.format(7)) as at:
        federation.expect(r"FAB refused: ")
        at.link.fabs[8] = make_fab("", project)
        at.fails(at.link.send(run_id=8), 7)
