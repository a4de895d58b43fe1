#!/usr/bin/env python3
"""python3 dev.py demo | test [PYTEST ARGS] | serve | lock | setup [core|test|spark].  Standard library only.

Makes .venv, installs what requirements/ pins by hash, then calls the product. What is done is not done again.
Kept readable for Python 3.6, so that an old python3 can still look for a newer one.
"""
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.abspath(__file__))
VENV = os.path.join(ROOT, ".venv")
BIN = os.path.join(VENV, "Scripts" if os.name == "nt" else "bin")
PY = os.path.join(BIN, "python.exe" if os.name == "nt" else "python")
UV = os.path.join(BIN, "uv.exe" if os.name == "nt" else "uv")
STAMP = os.path.join(VENV, "plumbline.stamp")
REQ = os.path.join(ROOT, "requirements")
VENDOR = os.path.join(ROOT, "src", "plumbline", "console", "static", "vendor", "manifest.json")
SETUP = "1"  # raise it when the steps below change
LEVELS = ["core", "test"]  # each file holds all of the one before: a smaller wish never shrinks .venv
FITS = "import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 15))"


def run(cmd, quiet=False, **env):
    """Exit status; env is laid over a copy of ours."""
    base = {k: v for k, v in os.environ.items() if k not in DROP}
    base.update(PIP_USER="0", PIP_DISABLE_PIP_VERSION_CHECK="1", PIP_NO_INPUT="1", UV_PYTHON_DOWNLOADS="never", UV_NO_PROGRESS="1")
    base.update(env)
    out = subprocess.DEVNULL if quiet else None
    try:
        return subprocess.call(cmd, cwd=ROOT, env=base, stdout=out, stderr=out)
    except OSError:
        return 127


DROP = {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "PIP_TARGET", "PIP_PREFIX", "UV_SYSTEM_PYTHON", "UV_COMPILE_BYTECODE",
        "PYTHONDONTWRITEBYTECODE"}  # without bytecode of our own source every start would compile it


def find_python():
    """Go on under a Python that fits, or say what to do."""
    if run([sys.executable, "-c", FITS], quiet=True) == 0:
        return
    for name in ("python3.14", "python3.13", "python3.12", "python3.11", "python3"):
        found = shutil.which(name)
        if found and run([found, "-c", FITS], quiet=True) == 0:
            sys.exit(subprocess.call([found, os.path.abspath(__file__)] + sys.argv[1:]))
    if (3, 11) <= sys.version_info[:2] < (3, 15):
        sys.exit("Python's venv module is missing: on Debian or Ubuntu, apt install python3-venv, then run this again")
    sys.exit("Plumbline needs Python 3.11 to 3.14; this is %d.%d and no other was found on PATH" % sys.version_info[:2])


def digest(names):
    h = hashlib.sha256(repr((SETUP, VENV, sys.version, os.path.realpath(sys.executable))).encode())  # a moved tree counts
    for name in names:
        with open(os.path.join(ROOT, name), "rb") as f:
            h.update(name.encode() + b"\0" + f.read().replace(b"\r\n", b"\n"))
    return h.hexdigest()


def read_stamp():
    """Level, mark of what runs, mark of what builds ourselves."""
    try:
        with open(STAMP) as f:
            level, packages, project = f.read().split()
        return LEVELS.index(level), packages, project
    except (OSError, ValueError):
        return -1, "", ""


def writable(folder):
    try:
        os.makedirs(folder, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
        return True
    except OSError:
        return False


def net_env():
    """uv reads neither pip's configuration nor PIP_*: hand on index, wheel folders, certificates."""
    env, conf = {}, {}
    try:
        text = subprocess.check_output([PY, "-m", "pip", "config", "list"], cwd=ROOT, stderr=subprocess.DEVNULL).decode("utf-8", "replace")
    except (OSError, subprocess.CalledProcessError):
        text = ""
    lines = [line.partition("=") for line in text.splitlines()]
    for part in ("global.", "install.", ":env:."):  # pip's own order, the last one wins
        for key, _, value in lines:
            if key.startswith(part):
                conf[key[len(part):]] = value.strip()[1:-1]
    if conf.get("index-url") and not (os.environ.get("UV_DEFAULT_INDEX") or os.environ.get("UV_INDEX_URL")):
        env["UV_DEFAULT_INDEX"] = conf["index-url"]
    if conf.get("trusted-host") and not os.environ.get("UV_INSECURE_HOST"):
        env["UV_INSECURE_HOST"] = " ".join(conf["trusted-host"].replace("\\n", " ").split())
    if conf.get("proxy") and not (os.environ.get("HTTPS_PROXY") or os.environ.get("https_proxy")):
        env["HTTPS_PROXY"] = conf["proxy"]
    if conf.get("cert") and not os.environ.get("SSL_CERT_FILE"):
        env["SSL_CERT_FILE"] = conf["cert"]
    if not os.environ.get("UV_CACHE_DIR") and os.name != "nt":
        if not writable(os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "uv")):
            env["UV_NO_CACHE"] = "1"
    return env


def pip_install(args, **env):
    """pip; once more with the system's certificates, which older pips do not read."""
    cmd = [PY, "-m", "pip", "install", "-q"] + args
    if run(cmd, **env) == 0:
        return True
    paths = __import__("ssl").get_default_verify_paths()
    store = os.environ.get("SSL_CERT_FILE") or paths.cafile or paths.capath
    return bool(store and not os.environ.get("PIP_CERT")) and run(cmd, PIP_CERT=store, **env) == 0


def tool_install(sub, args, env):
    """The same hashed files by uv, first from its cache alone, else by pip (which knows all of its own configuration)."""
    if os.path.exists(UV):
        cmd = [UV, "pip", sub, "-q", "--python", PY] + args
        if run(cmd, quiet=True, UV_OFFLINE="1", **env) == 0 or run(cmd, **env) == 0:
            return
        if "SSL_CERT_FILE" not in env and run(cmd, UV_SYSTEM_CERTS="1", **env) == 0:
            return
        if os.environ.get("CI"):
            sys.exit("dev.py: uv failed (see above)")
        print("dev.py: uv did not manage, trying pip", file=sys.stderr)
    if sub == "sync":
        args = args[:-1] + ["-r", args[-1]]
    if not pip_install(args, **{k: v for k, v in env.items() if k == "PYTHONPATH"}):
        sys.exit("dev.py: the installation failed (see above). It needs a package index, as pip is configured on this machine; nothing else is fetched.")


def setup(wish):
    want, (have, packages, project) = LEVELS.index(wish), read_stamp()
    now = digest(["requirements/%s.txt" % n for n in ("uv", "core", "test")])
    ours = digest(["pyproject.toml", "hatch_build.py", "requirements/build.txt", "requirements/assets.txt"])
    installed = packages == now and have >= want
    if installed and project == ours and os.path.exists(VENDOR):
        return
    want = max(want, have)
    print("dev.py: setting up .venv (%s); done once" % LEVELS[want], file=sys.stderr)
    if run([PY, "-c", "import sys, pip; sys.exit(sys.version != %r)" % sys.version], quiet=True) != 0:
        if run([sys.executable, "-m", "venv", "--clear", VENV]) != 0:
            sys.exit("dev.py: could not make .venv")
        installed = False
    if os.path.exists(STAMP):
        os.remove(STAMP)
    with open(os.path.join(REQ, "uv.txt")) as f:
        pin = f.read().split()[0].partition("==")[2]
    if run([PY, "-c", "from importlib.metadata import version; assert version('uv') == %r" % pin], quiet=True) != 0:
        if not pip_install(["--no-deps", "--require-hashes", "--only-binary", ":all:", "-r", os.path.join(REQ, "uv.txt")]):
            if os.environ.get("CI"):
                sys.exit("dev.py: uv could not be installed (see above)")
    env = net_env()
    # 1 what runs
    if not installed:
        wheels = ["--only-binary", ":all:"]
        tool_install("sync", ["--require-hashes"] + wheels + [os.path.join(REQ, LEVELS[want] + ".txt")], dict(env, UV_COMPILE_BYTECODE="1"))
    # 2 what builds, without Django: into a folder that goes away
    temp = tempfile.mkdtemp(prefix="plumbline-build-")
    try:
        tool_install("install", ["--no-deps", "--require-hashes", "--only-binary", ":all:", "--target", temp,
                                 "-r", os.path.join(REQ, "build.txt"), "-r", os.path.join(REQ, "assets.txt")], env)
        # 3 ourselves, editable; the hook in hatch_build.py makes the console's assets. --no-index: nothing can be fetched here
        tool_install("install", ["--no-deps", "--no-index", "--no-build-isolation", "-e", ROOT], dict(env, PYTHONPATH=temp))
    finally:
        shutil.rmtree(temp, ignore_errors=True)
    with open(STAMP, "w") as f:
        f.write("%s %s %s\n" % (LEVELS[want], now, ours))


def compile_lock(uv, out, args, stdin=None):
    cmd = [uv, "pip", "compile", "-q", "--universal", "--generate-hashes", "--no-header", "--no-annotate", "--python-version", "3.11",
           "-o", os.path.join("requirements", out)] + args
    subprocess.run(cmd, cwd=ROOT, input=stdin, check=True, universal_newlines=True, stdout=subprocess.DEVNULL)
    text = open(os.path.join(REQ, out)).read()
    if ":" + "//" in text or any(line.startswith("--") for line in text.splitlines()):
        sys.exit("requirements/%s names an address or an option" % out)


def lock(args):
    uv = UV if os.path.exists(UV) else shutil.which("uv")
    sys.path.insert(0, ROOT)
    import hatch_build
    compile_lock(uv, "uv.txt", ["-"] + args, "uv==0.13.9\n")
    compile_lock(uv, "build.txt", ["-"] + args, "hatchling>=1.27\nsetuptools\nwheel\n")
    compile_lock(uv, "assets.txt", ["--no-deps", "-"] + args, "\n".join(list(hatch_build.PINS) + hatch_build.TOOLS))
    light = ["--extra", "postgres"]
    compile_lock(uv, "test.txt", ["pyproject.toml", "--group", "test"] + light + args)
    compile_lock(uv, "core.txt", ["pyproject.toml", "-c", "requirements/test.txt"] + light + args)


def main():
    args = sys.argv[1:]
    if not args or args[0] in ("-h", "--help"):
        print(__doc__)
        return 0
    find_python()
    name, rest = args[0], args[1:]
    if name == "lock":
        return lock(rest)
    if name == "setup":
        return setup(rest[0] if rest else "core")
    if name == "test":
        setup("test")
        return run([PY, "-m", "pytest"] + rest)
    setup("core")
    return run([PY, "-m", "plumbline", name] + rest)


if __name__ == "__main__":
    sys.exit(main())
