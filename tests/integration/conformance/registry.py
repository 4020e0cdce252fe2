"""A registry on loopback that makes its images up: just enough of the protocol for a pull.

An image is called NAME-LAYERS-FILES-SIZE: so many layers of so many files of so many random bytes; two
names never share a layer. What it sends is slowed down to RATE bytes a second, so that a pull lasts long
enough to be cut off. As a program it prints its port and serves until it is ended.
SPDX-License-Identifier: Apache-2.0
"""
import gzip
import hashlib
import http.server
import io
import json
import os
import signal
import socketserver
import sys
import tarfile
import threading
import time

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CHUNK = 64 << 10


def digest_of(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def architecture():
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)


class Store:
    """Blobs by digest, and the manifest of each name that was asked for."""

    def __init__(self):
        self.blobs = {}
        self.manifests = {}
        self.lock = threading.Lock()

    def put(self, data):
        self.blobs[digest_of(data)] = data
        return {"digest": digest_of(data), "size": len(data)}

    def layer(self, number, files, size):
        raw = io.BytesIO()
        with tarfile.open(fileobj=raw, mode="w") as tar:
            for file in range(files):
                about = tarfile.TarInfo(f"file-{number}-{file}")
                about.size = size
                tar.addfile(about, io.BytesIO(os.urandom(size)))
        packed = self.put(gzip.compress(raw.getvalue(), 1))
        return digest_of(raw.getvalue()), packed

    def manifest(self, name):
        """None for a name of another form: nobody has that image."""
        with self.lock:
            if name in self.manifests:
                return self.manifests[name]
            parts = name.split("-")
            if len(parts) != 4 or not all(part.isdigit() for part in parts[1:]):
                return None
            layers, files, size = map(int, parts[1:])
            made = [self.layer(number, files, size) for number in range(layers)]
            config = self.put(json.dumps({
                "architecture": architecture(), "os": "linux", "config": {"Cmd": ["/none"]},
                "rootfs": {"type": "layers", "diff_ids": [diff for diff, _ in made]}}).encode())
            document = json.dumps({
                "schemaVersion": 2, "mediaType": MANIFEST,
                "config": {"mediaType": "application/vnd.oci.image.config.v1+json", **config},
                "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", **packed}
                           for _, packed in made]}).encode()
            self.manifests[name] = document
            self.put(document)
            return document


def handler_of(store, rate):
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def do_HEAD(self):
            self.answer(body=False)

        def do_GET(self):
            self.answer(body=True)

        def found(self):
            path = self.path.split("?")[0]
            if path == "/v2/":
                return b"{}", "application/json"
            if "/manifests/" in path:
                name, reference = path.removeprefix("/v2/").split("/manifests/")
                if reference.startswith("sha256:"):
                    return store.blobs.get(reference), MANIFEST
                return store.manifest(name), MANIFEST
            return store.blobs.get(path.rsplit("/", 1)[-1]), "application/octet-stream"

        def answer(self, body):
            data, kind = self.found()
            self.send_response(404 if data is None else 200)
            data = data or b""
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            self.send_header("Docker-Content-Digest", digest_of(data))
            self.end_headers()
            if not body:
                return
            try:
                for at in range(0, len(data), CHUNK):
                    self.wfile.write(data[at:at + CHUNK])
                    if len(data) > CHUNK:
                        time.sleep(CHUNK / rate)
            except OSError:
                self.close_connection = True  # whoever pulled was killed

    return Handler


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True


def start(rate):
    """Serves from threads of this process; the port."""
    server = Server(("127.0.0.1", 0), handler_of(Store(), rate))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


if __name__ == "__main__":
    print(start(float(sys.argv[1]) if len(sys.argv) > 1 else 8e6), flush=True)
    signal.pause()
