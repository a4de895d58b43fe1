"""What somebody does who was handed a dossier: unpack it and check it with standard tools."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import subprocess
import zipfile
from pathlib import Path
from typing import Any

from plumbline.kernel.dossier import document
from plumbline.kernel.dossier.telling import Dossier

SHELL = [shell for shell in ("sh", "dash", "bash") if shutil.which(shell)]


def unpacked(dossier: Dossier, to: Path) -> Path:
    with zipfile.ZipFile(io.BytesIO(document.as_zip(dossier))) as archive:
        archive.extractall(to)
    return to


def sh(folder: Path, *words: str, shell: str = "sh") -> subprocess.CompletedProcess[str]:
    return subprocess.run([shell, *words], cwd=folder, capture_output=True, text=True, check=False, timeout=60)


def check(folder: Path, shell: str = "sh") -> subprocess.CompletedProcess[str]:
    return sh(folder, "check.sh", "proof.tlog-proof", "public-key.pem", shell=shell)


def check_row(folder: Path, shell: str = "sh") -> subprocess.CompletedProcess[str]:
    return sh(folder, "check-row.sh", "record.bin", "record-path.json", "content.bin", shell=shell)


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def opened(path: Path) -> Any:
    return json.loads(path.read_bytes()[32:])


def demand_bound(folder: Path) -> dict[str, Any]:
    """The steps of the README but for the record; returns what the entry's content says."""
    done = check(folder)
    assert done.returncode == 0, done.stderr
    leaf = (folder / "leaf.json").read_text()
    assert leaf in done.stdout
    assert sha256(folder / "content.bin") == json.loads(leaf)["content"]
    assert sha256(folder / "actor.bin") == json.loads(leaf)["actor"]
    sums = sh(folder, "-c", "sha256sum -c SHA256SUMS")
    assert sums.returncode == 0, sums.stderr
    assert {p.name for p in folder.iterdir()} == {
        line.split("  ")[1] for line in (folder / "SHA256SUMS").read_text().splitlines()
    } | {"SHA256SUMS"}
    said: dict[str, Any] = opened(folder / "content.bin")["details"]
    return said
