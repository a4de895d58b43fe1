"""Static files under names that carry their hash, kept in memory, compressed once.

``console.css`` is served as ``/static/console.1a2b3c4d.css`` and may be kept for ever by a browser. The plain name works
too, for a person at an address bar, and is revalidated every time. Files of ``vendor/`` are made by the build and may
be absent: then the console uses its own script and the system's font.
"""

from __future__ import annotations

import gzip
import hashlib
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath

from starlette.types import Receive, Scope, Send

ROOT = Path(__file__).parent / "static"
PREFIX = "/static/"
TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
    ".txt": "text/plain; charset=utf-8",
}
PACKED_BY_THEMSELVES = {".woff2"}
FOREVER = b"public, max-age=31536000, immutable"
REFERENCE = re.compile(rb"url\(([^)\"']+)\)")


@dataclass(frozen=True, slots=True)
class Asset:
    """One file: its plain name, its name with the hash, its bytes as they are and packed."""

    name: str
    hashed: str
    type: str
    body: bytes
    packed: bytes | None
    etag: str


def _make(name: str, body: bytes) -> Asset:
    path = PurePosixPath(name)
    digest = hashlib.sha256(body).hexdigest()
    packed = None if path.suffix in PACKED_BY_THEMSELVES else gzip.compress(body, 9, mtime=0)
    hashed = str(path.with_name(f"{path.stem}.{digest[:8]}{path.suffix}"))
    return Asset(name, hashed, TYPES[path.suffix], body, packed, f'"{digest[:16]}"')


@cache
def assets() -> dict[str, Asset]:
    """Every static file by its plain name; read once."""
    paths = sorted(p for p in ROOT.rglob("*") if p.suffix in TYPES)
    out: dict[str, Asset] = {}
    # Style sheets last: what they refer to must have its hashed name before theirs can be taken.
    for path in sorted(paths, key=lambda p: p.suffix == ".css"):
        name = path.relative_to(ROOT).as_posix()
        body = path.read_bytes()
        if path.suffix == ".css":
            body = REFERENCE.sub(lambda m: _hashed_reference(m, out), body)
        out[name] = _make(name, body)
    return out


def _hashed_reference(match: re.Match[bytes], known: dict[str, Asset]) -> bytes:
    asset = known.get(match[1].decode())
    return f"url({asset.hashed})".encode() if asset else match[0]


@cache
def _served() -> dict[str, tuple[Asset, bool]]:
    found = {asset.hashed: (asset, True) for asset in assets().values()}
    return found | {name: (asset, False) for name, asset in assets().items()}


def has_asset(name: str) -> bool:
    return name in assets()


def static_url(name: str) -> str:
    """The address of a static file under its hashed name.

    :raises LookupError: there is no such file.
    """
    try:
        return PREFIX + assets()[name].hashed
    except KeyError:
        raise LookupError(f"no static file {name}") from None


async def serve(scope: Scope, receive: Receive, send: Send) -> None:
    """The ASGI application to mount at ``/static``: GET and HEAD of known names, nothing of the file system."""
    if scope["type"] != "http":
        return
    method = scope["method"]
    path = str(scope["path"])[len(str(scope.get("root_path", ""))) :].lstrip("/")
    found = _served().get(path.removeprefix(PREFIX.lstrip("/")))
    given = dict(scope["headers"])
    headers: list[tuple[bytes, bytes]] = []
    status, body = 200, b""
    if method not in ("GET", "HEAD"):
        status, headers = 405, [(b"allow", b"GET, HEAD")]
    elif found is None:
        status, headers, body = 404, [(b"content-type", b"text/plain; charset=utf-8")], b"Not found"
    else:
        asset, hashed = found
        headers = [(b"etag", asset.etag.encode()), (b"cache-control", FOREVER if hashed else b"no-cache")]
        if asset.packed is not None:
            headers.append((b"vary", b"Accept-Encoding"))
        if given.get(b"if-none-match", b"").decode("latin-1") == asset.etag:
            status = 304
        else:
            body = asset.body
            headers.append((b"content-type", asset.type.encode()))
            if asset.packed is not None and b"gzip" in given.get(b"accept-encoding", b""):
                body = asset.packed
                headers.append((b"content-encoding", b"gzip"))
    if status != 304:
        headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if method == "HEAD" else body})
