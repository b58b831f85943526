"""A server that wants a certificate of its callers, by the authority in the folder that is its
argument, and answers with the name in it."""

import http.server
import ssl
import sys
import threading

folder = sys.argv[1]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        subject = dict(pair for each in self.connection.getpeercert()["subject"] for pair in each)
        body = subject["commonName"].encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST

    def log_message(self, *words):
        pass


class Server(http.server.ThreadingHTTPServer):
    def handle_error(self, request, address):
        pass  # a handshake that failed


context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=f"{folder}/root.pem")
context.verify_mode = ssl.CERT_REQUIRED
context.load_cert_chain(f"{folder}/server.pem", f"{folder}/server.key")
server = Server(("127.0.0.1", 0), Handler)
server.socket = context.wrap_socket(server.socket, server_side=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(f"address localhost:{server.server_address[1]}", flush=True)
sys.stdin.read()
