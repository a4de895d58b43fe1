"""The README's snippets, run in their order in an empty folder as a newcomer would."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).resolve().parents[2] / "README.md"
BLOCKS = re.findall(r"```(sh|python)\n(.*?)```", README.read_text("utf-8"), re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("newcomer")


def run(folder: Path, *command: str) -> str:
    env = {k: v for k, v in os.environ.items() if not k.startswith("PLUMBLINE_")} | {
        "PLUMBLINE_HOME": str(folder / "home")
    }
    env["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{env['PATH']}"
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def test_the_first_block_is_the_two_commands() -> None:
    kind, text = BLOCKS[0]
    assert kind == "sh"
    assert [line.split("#")[0].strip() for line in text.splitlines()] == ["python3 dev.py demo", "python3 dev.py test"]


@pytest.mark.slow
def test_the_snippets_do_what_the_readme_says(folder: Path) -> None:
    kinds = [kind for kind, _ in BLOCKS]
    assert kinds == ["sh", "sh", "sh", "sh", "python", "sh"]
    if not shutil.which("bash") or not shutil.which("curl"):
        pytest.skip("bash and curl run the snippets")
    _, command_line, decision, proof, program, http = (text for _, text in BLOCKS)

    told = run(folder, "bash", "-euc", command_line)
    assert "credit-risk@1 is live" in told
    assert len((folder / "results.csv").read_text().splitlines()) == 501

    told = run(folder, "bash", "-euc", decision)
    for piece in ("equal", "Ratios and error rates are evidence", "severity", "credit.replays_equal"):
        assert piece in told, piece

    told = run(folder, "bash", "-euc", proof)
    assert "sound" in told.splitlines()
    assert (folder / "kept.checkpoint").read_text("utf-8").startswith("plumbline.local/ledger/")
    assert "BEGIN PUBLIC KEY" in (folder / "public.pem").read_text()
    assert (folder / "decision.tlog-proof").read_text("utf-8").startswith("c2sp.org/tlog-proof@v1\n")
    assert (folder / "dossier.zip").stat().st_size > 10_000

    said = run(folder, sys.executable, "-c", program)
    assert re.match(r"(approve|review|decline) (Low|Medium|High) \d+\.\d\d%\n", said)
    assert said.endswith("replayed equal: True\n")

    port = str(free_port())
    answer = run(folder, "bash", "-euc", "trap 'kill $(jobs -p); wait' EXIT\n" + http.replace("8400", port))
    decided = json.loads(answer)
    assert decided["decision"] == said.split()[0]
    assert decided["model"]["name"] == "credit-risk"
    assert decided["reasons"]
