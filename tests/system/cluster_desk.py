"""What kubectl asks a cluster before it would change anything: which kinds of objects it knows, and
whether an object is there already; none is."""

import contextlib
import http.server
import json
import threading

KINDS = {
    "v1": ["ConfigMap", "PersistentVolumeClaim", "Secret", "Service"],
    "apps/v1": ["Deployment"],
    "networking.k8s.io/v1": ["NetworkPolicy"],
}

MISSING = {"kind": "Status", "status": "Failure", "reason": "NotFound", "code": 404}


def plural(kind):
    return kind.lower().removesuffix("y") + ("ies" if kind.endswith("y") else "s")


def group(version):
    entry = {"groupVersion": version, "version": version.rpartition("/")[2]}
    return {"name": version.rpartition("/")[0], "versions": [entry], "preferredVersion": entry}


def resource(kind):
    verbs = ["create", "get", "list", "patch"]
    names = {"name": plural(kind), "singularName": kind.lower(), "kind": kind}
    return {**names, "namespaced": True, "verbs": verbs}


def answers():
    """The answer for each path."""
    groups = [group(each) for each in KINDS if "/" in each]
    found = {
        "/api": {"kind": "APIVersions", "versions": ["v1"]},
        "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups},
    }
    for version, kinds in KINDS.items():
        path = f"/apis/{version}" if "/" in version else f"/api/{version}"
        resources = [resource(kind) for kind in kinds]
        found[path] = {"kind": "APIResourceList", "groupVersion": version, "resources": resources}
    return found


class Handler(http.server.BaseHTTPRequestHandler):
    answers = answers()

    def do_GET(self):
        answer = self.answers.get(self.path.partition("?")[0], MISSING)
        body = json.dumps(answer).encode()
        self.send_response(404 if answer is MISSING else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def cluster_desk():
    """Its address; it takes no changes: every method but GET is answered with 501."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
