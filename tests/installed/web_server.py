"""A web server with TLS that takes signed notices: prints its port, then each request as a line of JSON."""

import hashlib
import hmac
import http.server
import json
import ssl
import sys
import time

certificate, key, secret = sys.argv[1:]


def is_from_certroll(secret, headers, body):
    timestamp = headers["Certroll-Timestamp"]
    made = hmac.new(secret, timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    fresh = abs(time.time() - int(timestamp)) <= 300
    return fresh and hmac.compare_digest("v1=" + made, headers["Certroll-Signature"])


class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        signed = is_from_certroll(secret.encode(), self.headers, body)
        print(json.dumps({"path": self.path, "signed": signed, "body": json.loads(body)}), flush=True)
        self.send_response(204 if signed else 401)
        self.end_headers()

    def log_message(self, *_):
        pass


server = http.server.HTTPServer(("127.0.0.1", 0), Receiver)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)
server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_address[1], flush=True)
server.serve_forever()
