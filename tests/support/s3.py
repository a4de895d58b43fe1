"""A small S3 on the loopback: objects in memory, enough of the protocol for boto and ``s3fs``."""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

KEY, SECRET = "test-key-id", "test-secret"


@dataclass
class S3:
    """``objects`` by bucket and key; ``refusing``: error code and status that every request gets instead."""

    url: str
    buckets: dict[str, dict[str, bytes]]
    refusing: tuple[str, int] | None = None
    asked: list[tuple[str, str]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def environment(self) -> dict[str, str]:
        """What an administrator sets; nothing of it is ours."""
        return {"AWS_ENDPOINT_URL": self.url, "AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_DEFAULT_REGION": "eu-central-1",
                "AWS_EC2_METADATA_DISABLED": "true", "AWS_MAX_ATTEMPTS": "1", "AWS_CONFIG_FILE": "/dev/null",
                "AWS_SHARED_CREDENTIALS_FILE": "/dev/null"}  # fmt: skip


@contextlib.contextmanager
def serve_s3(*buckets: str) -> Iterator[S3]:
    """An empty store with these buckets."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    store = S3(f"http://127.0.0.1:{server.server_port}", {name: {} for name in buckets})
    server.store = store  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield store
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=10)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        pass

    def do_PUT(self) -> None:
        self._answered()

    do_GET = do_HEAD = do_DELETE = do_PUT

    def _answered(self) -> None:
        store: S3 = self.server.store  # type: ignore[attr-defined]
        body = self._body()
        parts = urlsplit(self.path)
        bucket, _, key = unquote(parts.path).lstrip("/").partition("/")
        with store.lock:
            store.asked.append((self.command, f"{bucket}/{key}"))
            if store.refusing:
                return self._error(*store.refusing)
            if f"Credential={KEY}/" not in self.headers.get("Authorization", ""):
                return self._error("AccessDenied", 403)
            objects = store.buckets.get(bucket)
            if objects is None:
                return self._error("NoSuchBucket", 404)
            if not key:
                return self._list(bucket, objects, {k: v[0] for k, v in parse_qs(parts.query).items()})
            if self.command == "PUT":
                objects[key] = body
                return self._send(200, b"", {"ETag": _tag(body)})
            if self.command == "DELETE":
                objects.pop(key, None)
                return self._send(204, b"", {})
            if key not in objects:
                return self._error("NoSuchKey", 404)
            found = objects[key]
        return self._send(200, found, {"ETag": _tag(found), "Last-Modified": "Tue, 24 Nov 2026 09:41:00 GMT",
                                       "Content-Type": "application/octet-stream"})  # fmt: skip

    def _body(self) -> bytes:
        data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if not self.headers.get("x-amz-content-sha256", "").startswith("STREAMING-"):
            return data
        found = b""
        while data:  # aws-chunked: hexadecimal length, perhaps a signature, the bytes; a trailer ends it
            head, _, data = data.partition(b"\r\n")
            size = int(head.split(b";")[0], 16)
            if size == 0:
                break
            found, data = found + data[:size], data[size + 2 :]
        return found

    def _list(self, bucket: str, objects: dict[str, bytes], asked: dict[str, str]) -> None:
        prefix, delimiter = asked.get("prefix", ""), asked.get("delimiter", "")
        contents, folders = [], set()
        for key in sorted(k for k in objects if k.startswith(prefix)):
            rest = key[len(prefix) :]
            if delimiter and delimiter in rest:
                folders.add(prefix + rest.split(delimiter)[0] + delimiter)
                continue
            contents.append(f"<Contents><Key>{escape(key)}</Key><LastModified>2026-11-24T09:41:00.000Z</LastModified><ETag>{_tag(objects[key])}</ETag>"
                            f"<Size>{len(objects[key])}</Size><StorageClass>STANDARD</StorageClass></Contents>")  # fmt: skip
        shown = "".join(contents) + "".join(
            f"<CommonPrefixes><Prefix>{escape(f)}</Prefix></CommonPrefixes>" for f in sorted(folders)
        )
        self._xml(200, f"<ListBucketResult><Name>{bucket}</Name><Prefix>{escape(prefix)}</Prefix><KeyCount>{len(contents) + len(folders)}</KeyCount>"
                       f"<MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated>{shown}</ListBucketResult>")  # fmt: skip

    def _error(self, code: str, status: int) -> None:
        self._xml(status, f"<Error><Code>{code}</Code><Message>{code} by the test's store</Message></Error>")

    def _xml(self, status: int, text: str) -> None:
        self._send(
            status, b'<?xml version="1.0" encoding="UTF-8"?>' + text.encode(), {"Content-Type": "application/xml"}
        )

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD" and status != 204:
            self.wfile.write(body)


def _tag(data: bytes) -> str:
    return f'"{hashlib.md5(data).hexdigest()}"'
