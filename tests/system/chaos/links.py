"""The link to the SuperLink goes on, as far as its ends can tell, and carries nothing or little."""

from .faults import fault, for_a_moment


@fault(own=True)
def link_black_holed(lab, works):
    """Packets are lost, and nobody is told. After some time the kernel gives the connections up."""
    lab.wait_received(works)
    first, others = lab.choose(works)
    assert first.pids
    lab.link.black_hole()
    first.release()  # its reply is on its way meanwhile
    longest = lab.random.choice([1, 3, 30])
    for_a_moment(lab, longest)
    if longest == 30:
        # What the node's end has given up must not come through later: it could fetch a message.
        lab.relay.cut()
    lab.link.mend()
    lab.answers(first.id, 0)
    lab.finish(others)


@fault(own=True)
def link_slowed(lab, works):
    """Messages and replies come through all the same."""
    lab.link.slow(percent=lab.random.randint(10, 30), rate=lab.random.randint(30, 300))
    lab.wait_received(works)
    lab.finish(works)
    lab.ask()
    lab.link.mend()
