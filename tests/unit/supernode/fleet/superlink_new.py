"""The Fleet API of the newest release over HTTP, with its real authentication, in three lives.

Prints "port N". Each node that is activated gets one message. After the first reply the node is forgotten, after the
second the server is restarted with nothing in memory. When stdin ends, it prints what it saw and ends.
"""

import os
import queue
import socket
import sys
import threading

os.environ["FLWR_DATABASE"] = ":flwr-in-memory:"
os.environ["FLWR_PRIVATE_MAX_ARRAY_CHUNK_SIZE"] = "100000"

import numpy as np  # noqa: E402
import uvicorn  # noqa: E402
from flwr.app import Array, ArrayRecord, ConfigRecord, RecordDict  # noqa: E402
from flwr.app.message import make_message, remove_content_from_message  # noqa: E402
from flwr.app.metadata import Metadata  # noqa: E402
from flwr.common.constant import NOOP_FLWR_AID  # noqa: E402
from flwr.supercore.constant import NOOP_FEDERATION_ID, TaskType  # noqa: E402
from flwr.supercore.date import now  # noqa: E402
from flwr.supercore.fab import Fab  # noqa: E402
from flwr.supercore.inflatable.inflatable_object import (  # noqa: E402
    get_all_nested_objects,
    get_object_tree,
    iterate_object_tree,
)
from flwr.supercore.inflatable.inflatable_utils import (  # noqa: E402
    inflate_object_from_contents,
)
from flwr.superlink.main import create_app  # noqa: E402

FAB = b"FAB" * 1000
ARRAY = np.arange(100000, dtype=np.float32)
events = queue.Queue()
lines = []
activated = 0
replies = 0


def instruct(state, run_id, node_id, group):
    """What a ServerApp does through the Runtime API."""
    records = RecordDict({
        "c": ConfigRecord({"group": group, "text": "ä"}),
        "a": ArrayRecord({"layer": Array(ARRAY)}),
    })
    metadata = Metadata(
        run_id=run_id, message_id="", src_node_id=1, dst_node_id=node_id, reply_to_message_id="",
        group_id=str(group), created_at=now().timestamp(), ttl=3600.0, message_type="train")
    message = make_message(metadata, content=records)
    message.metadata.__dict__["_message_id"] = message.object_id
    session = state.start_session(run_id)
    stored, wanted = state.store_message_and_object_tree(
        remove_content_from_message(message), get_object_tree(message), session)
    assert stored
    objects = get_all_nested_objects(message)
    for object_id in wanted:
        assert state.store_object(run_id, session, object_id, objects[object_id].deflate())


def check_reply(state, message, tree):
    """All objects of a reply are here: is it what was sent?"""
    global replies
    ids = [node.object_id for node in iterate_object_tree(tree)]
    contents = {i: state.object_store.get(i) for i in ids}
    if not all(contents.values()):
        return False
    inflated = inflate_object_from_contents(tree.object_id, contents)
    records = inflated.content
    assert message.metadata.message_id == tree.object_id
    for field in "run_id", "src_node_id", "reply_to_message_id", "ttl", "created_at":
        assert getattr(inflated.metadata, field) == getattr(message.metadata, field)
    assert np.array_equal(records["a"]["layer"].numpy(), ARRAY)
    config = records["c"]
    lines.append(f"reply {message.metadata.group_id} {config['group']} {config['text']} kept")
    replies += 1
    if replies == 1:
        state.delete_node(NOOP_FLWR_AID, message.metadata.src_node_id)
    if replies == 2:
        events.put("restart")
    return True


def watch(state, run_id):
    """Notice what the handlers do with the state."""
    activate, announce, store = (
        state.activate_node, state.store_message_and_object_tree, state.store_object)
    waiting = []

    def activate_node(node_id, heartbeat_interval):
        global activated
        done = activate(node_id, heartbeat_interval)
        if done:
            activated += 1
            instruct(state, run_id, node_id, activated)
        return done

    def store_message_and_object_tree(message, tree, session_id):
        answer = announce(message, tree, session_id)
        if message.metadata.reply_to_message_id:
            waiting.append((message, tree))
        return answer

    def store_object(*args):
        stored = store(*args)
        waiting[:] = [w for w in waiting if not check_reply(state, *w)]
        return stored

    state.activate_node = activate_node
    state.store_message_and_object_tree = store_message_and_object_tree
    state.store_object = store_object


def serve(port):
    app = create_app()
    state = app.state.linkstate_factory.state()
    fab_hash = state.store_fab(Fab(None, FAB, {}))
    run_id = state.create_run(
        "me/app", "1.0", fab_hash, {"rate": 0.5}, NOOP_FEDERATION_ID, None, "",
        TaskType.SERVER_APP)
    task_id = state.get_run_info(run_ids=[run_id])[0].primary_task_id
    assert state.claim_task(task_id) and state.activate_task(task_id)
    watch(state, run_id)
    listener = socket.create_server(("127.0.0.1", port))
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", timeout_graceful_shutdown=2))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    return state, server, thread, listener


def watch_stdin():
    sys.stdin.read()
    events.put("end")


def main():
    threading.Thread(target=watch_stdin, daemon=True).start()
    state, server, thread, listener = serve(0)
    port = listener.getsockname()[1]
    print("port", port, flush=True)
    while events.get() == "restart":
        server.should_exit = True
        thread.join()
        listener.close()
        state, server, thread, listener = serve(port)
    lines.append(f"nodes {sum(node.status == 'online' for node in state.get_node_info())}")
    server.should_exit = True
    thread.join(10)
    print("\n".join(lines), flush=True)


main()
