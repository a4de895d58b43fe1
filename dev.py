#!/usr/bin/env python3
"""python3 dev.py COMMAND: makes .venv, installs what requirements/ pins by hash, then does what was asked.

Standard library only. What is done is not done again, so a second run starts at once, also offline. Two at the same
time wait for each other while .venv is made. Kept readable for Python 3.6, so that an old python3 can still look for
a newer one.
"""
import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.abspath(__file__))
VENV = os.path.join(ROOT, ".venv")
BIN = os.path.join(VENV, "Scripts" if os.name == "nt" else "bin")
PY = os.path.join(BIN, "python.exe" if os.name == "nt" else "python")
UV = os.path.join(BIN, "uv.exe" if os.name == "nt" else "uv")
STAMP = os.path.join(VENV, "plumbline.stamp")
LOCK = os.path.join(ROOT, ".venv.lock")  # beside .venv, not in it: making .venv anew must not take the lock away
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


@contextlib.contextmanager
def alone(path=LOCK):
    """Hold the lock file; wait while another process holds it. The system lets go of it when its holder ends."""
    try:
        handle = open(path, "a+b")
    except OSError:  # a tree that cannot be written: then nothing is made here either
        yield
        return
    with handle:
        told = False
        while not try_lock(handle):
            if not told:
                print("dev.py: another dev.py is at work here, waiting for it", file=sys.stderr)
                told = True
            time.sleep(0.1)
        yield  # closing the file lets go


def try_lock(handle):
    try:
        if os.name == "nt":
            import msvcrt

            handle.seek(0)
            msvcrt.locking(handle.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError as error:  # EDEADLOCK is Windows' word for "held"; a file system without locks has none to wait for
        return error.errno != 36
    return True


def missing(wish):
    """What keeps ``wish`` from being there: None, or (installed, mark of what runs, mark of what builds ourselves)."""
    have, packages, project = read_stamp()
    now = digest(["requirements/%s.txt" % n for n in ("uv", "core", "test")])
    ours = digest(["pyproject.toml", "hatch_build.py", "requirements/build.txt", "requirements/assets.txt"])
    installed = packages == now and have >= LEVELS.index(wish)
    return None if installed and project == ours and os.path.exists(VENDOR) else (installed, now, ours)


def setup(wish):
    """Make .venv hold what ``wish`` (a level) asks for."""
    if missing(wish) is None:
        return
    with alone():
        found = missing(wish)  # the one we waited for may have done it
        if found is not None:
            install(wish, *found)


def install(wish, installed, now, ours):
    want = max(LEVELS.index(wish), read_stamp()[0])
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
    with open(STAMP + ".part", "w") as f:
        f.write("%s %s %s\n" % (LEVELS[want], now, ours))
    os.replace(STAMP + ".part", STAMP)


def compile_lock(uv, out, args, stdin=None):
    cmd = [uv, "pip", "compile", "-q", "--universal", "--generate-hashes", "--no-header", "--no-annotate", "--python-version", "3.11",
           "-o", os.path.join("requirements", out)] + args
    env = dict(os.environ, **net_env())
    subprocess.run(cmd, cwd=ROOT, env=env, input=stdin, check=True, universal_newlines=True, stdout=subprocess.DEVNULL)
    text = open(os.path.join(REQ, out)).read()
    if ":" + "//" in text or any(line.startswith("--") for line in text.splitlines()):
        sys.exit("requirements/%s names an address or an option" % out)


def lock(args):
    """Resolve anew within what pyproject.toml allows; --check reads only."""
    if args == ["--check"]:
        setup("test")
        return run([PY, os.path.abspath(__file__), "lock", "--check-here"])  # needs `packaging`, which .venv has
    if args == ["--check-here"]:
        found = lock_faults()
        for fault in found:
            print(fault, file=sys.stderr)
        print("The lock %s." % ("has %d faults: run python3 dev.py lock" % len(found) if found else "fits"))
        return 1 if found else 0
    setup("core")
    uv = UV if os.path.exists(UV) else shutil.which("uv")
    if not uv:
        sys.exit("dev.py: the lock is made by uv, which could not be installed here")
    sys.path.insert(0, ROOT)
    import hatch_build
    with alone():
        compile_lock(uv, "uv.txt", ["-"] + args, "uv==0.13.9\n")
        compile_lock(uv, "build.txt", ["-"] + args, BUILD)
        compile_lock(uv, "assets.txt", ["--no-deps", "-"] + args, "\n".join(list(hatch_build.PINS) + hatch_build.TOOLS))
        light = ["--extra", "postgres"]
        compile_lock(uv, "test.txt", ["pyproject.toml", "--group", "test"] + light + args)
        compile_lock(uv, "core.txt", ["pyproject.toml", "-c", "requirements/test.txt"] + light + args)
    return 0


BUILD = "hatchling>=1.27\nsetuptools\nwheel\n"


def read_pins(name):
    """Of a lock file: name -> [(version, marker, number of hashes)], and what must not stand in it."""
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    pins, faults = {}, []
    with open(os.path.join(REQ, name), encoding="utf-8") as f:
        text = f.read()
    for bad in (":" + "//", "--index", "--extra-index", "--find-links", "--trusted-host"):
        if bad in text:
            faults.append("requirements/%s: '%s' must not stand in it: a lock names no host" % (name, bad))
    for block in text.replace("\\\n", " ").splitlines():
        if not block.strip() or block.lstrip().startswith("#"):
            continue
        words, hashes = block.split(" --hash=")[0].strip(), block.count("--hash=sha256:")
        if words.startswith("-"):
            faults.append("requirements/%s: an option stands in it: %s" % (name, words))
            continue
        pin = Requirement(words)
        versions = [s.version for s in pin.specifier if s.operator == "=="]
        if not versions or not hashes:
            faults.append("requirements/%s: %s has no version or no hash" % (name, pin.name))
        else:
            pins.setdefault(canonicalize_name(pin.name), []).append((versions[0], str(pin.marker or ""), hashes))
    return pins, faults


def lock_faults():
    """What is wrong with the lock, without asking anybody: hosts, missing hashes, pins that do not fit pyproject.toml."""
    import tomllib
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    sys.path.insert(0, ROOT)
    import hatch_build

    pins, faults = {}, []
    for name in ("uv", "build", "assets", "core", "test"):
        pins[name], found = read_pins(name + ".txt")
        faults += found
    with open(os.path.join(ROOT, "pyproject.toml"), "rb") as f:
        project = tomllib.load(f)
    core = project["project"]["dependencies"] + project["project"]["optional-dependencies"]["postgres"]
    wanted = {
        "core": core, "test": core + project["dependency-groups"]["test"],
        "assets": list(hatch_build.PINS) + hatch_build.TOOLS, "build": BUILD.split() + project["build-system"]["requires"],
    }
    for name, requirements in wanted.items():
        for text in requirements:
            need = Requirement(text)
            there = pins[name].get(canonicalize_name(need.name), [])
            if not there:
                faults.append("requirements/%s.txt: %s is not pinned" % (name, need.name))
            elif not all(need.specifier.contains(version, prereleases=True) for version, _, _ in there):
                faults.append("requirements/%s.txt: %s %s is not %s" % (name, need.name, there[0][0], need.specifier))
    for name, there in pins["core"].items():
        # the same versions and files; on which platforms may differ: a test's package can need it on more of them
        if {(v, n) for v, _, n in pins["test"].get(name, [])} != {(v, n) for v, _, n in there}:
            faults.append("requirements: %s differs between core.txt and test.txt" % name)
    return faults


def browser():
    """In CI as root a browser is installed where none is; elsewhere the tests that need one say what is missing."""
    if os.environ.get("CHROMIUM_PATH") or any(shutil.which(n) for n in ("chromium", "chromium-browser", "google-chrome")):
        return
    if os.environ.get("CI") != "true" or not hasattr(os, "geteuid") or os.geteuid() != 0 or not shutil.which("apt-get"):
        return
    print("dev.py: installing chromium for the tests of the console", file=sys.stderr)
    run(["apt-get", "update", "-qq"])
    run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium"], DEBIAN_FRONTEND="noninteractive")


def test(args):
    setup("test")
    browser()
    ours = ["-n", "2", "--dist", "loadgroup"]
    if "--fast" in args:
        ours += ["-m", "not slow"]
    return run([PY, "-m", "pytest"] + ours + [a for a in args if a != "--fast"])


def benchmarks():
    """Names of the files in benchmarks/ that run by themselves."""
    folder, names = os.path.join(ROOT, "benchmarks"), []
    for name in sorted(os.listdir(folder)):
        if name.endswith(".py"):
            with open(os.path.join(folder, name), encoding="utf-8") as f:
                if "__main__" in f.read():
                    names.append(name[:-3])
    return names


def bench(args):
    known = benchmarks()
    chosen = args[:1] or known
    unknown = [name for name in chosen if name not in known]
    if unknown or not known:
        print("dev.py: there is no benchmark '%s'; there are: %s" % (" ".join(unknown), ", ".join(known) or "none"), file=sys.stderr)
        return 2
    setup("test")
    return max([run([PY, "-m", "benchmarks." + name] + args[1:]) for name in chosen])


def lint(args):
    setup("test")
    tools = {name: [PY, "-m"] + rest.split() for name, rest in (
        ("rules", "ruff check -q --output-format concise ."), ("format", "ruff format -q --check --output-format concise ."),
        ("types", "mypy"), ("types of docs", "mypy docs/generate.py"),
    )}
    tools["imports"] = [os.path.join(BIN, "lint-imports")]
    tools["lock"] = [PY, os.path.abspath(__file__), "lock", "--check-here"]
    tools["generated pages"] = [PY, os.path.join("docs", "generate.py"), "--check"]
    failed = []
    for name, command in tools.items():
        print("dev.py: %s" % name, file=sys.stderr)
        if run(command) != 0:
            failed.append(name)
    print("dev.py: %s" % ("failed: " + ", ".join(failed) if failed else "all fine"), file=sys.stderr)
    return 1 if failed else 0


def docs(args):
    setup("test")
    return run([PY, os.path.join("docs", "generate.py")] + args)


def demo(args):
    setup("core")
    return run([PY, "-m", "plumbline", "demo"] + args)


def serve(args):
    setup("core")
    return run([PY, "-m", "plumbline", "serve"] + args)


def only_setup(args):
    level = args[0] if args else "core"
    if level not in LEVELS or len(args) > 1:
        print("dev.py: a level is one of: %s" % ", ".join(LEVELS), file=sys.stderr)
        return 2
    setup(level)
    return 0


COMMANDS = [  # name, function, arguments, one line, more
    ("demo", demo, "[ARGS]", "build a firm with its people, models and decisions, and serve it",
     "ARGS go to `plumbline demo`. The second run only serves what the first one built."),
    ("test", test, "[--fast] [PYTEST ARGS]", "run the tests; --fast leaves out the slow ones",
     "On two processes; everything else goes to pytest, whose later options win: `dev.py test -n 0 -x tests/kernel`.\n"
     "The tests start a PostgreSQL of their own. Those of the console need a Chromium (CHROMIUM_PATH, or chromium on\n"
     "PATH); with CI=true and root it is installed by apt-get where it is missing."),
    ("bench", bench, "[NAME [ARGS]]", "run one benchmark, or all of them in turn",
     "A benchmark is a file in benchmarks/. Exit code 3: it ran and a gate was missed."),
    ("lint", lint, "", "rules, format, types, import contracts, the lock, the generated pages",
     "Runs all of them, also after one has failed."),
    ("serve", serve, "[ARGS]", "serve the API and the console", "ARGS go to `plumbline serve`."),
    ("docs", docs, "[--check]", "write the generated pages of docs/ anew", "--check writes nothing and names the pages that differ."),
    ("lock", lock, "[--check | UV ARGS]", "resolve the dependencies and write requirements/ anew",
     "UV ARGS go to `uv pip compile`: `dev.py lock --upgrade`. --check asks no index: it compares the lock with\n"
     "pyproject.toml and looks for hosts and missing hashes."),
    ("setup", only_setup, "[core|test]", "make .venv and do nothing else", "test holds all of core. A smaller wish never shrinks .venv."),
]


def main():
    args = sys.argv[1:]
    if not args or args[0] in ("-h", "--help", "help"):
        print(__doc__)
        for name, _, takes, line, _ in COMMANDS:
            print("  %-32s%s" % (name + (" " + takes if takes else ""), line))
        print("\npython3 dev.py COMMAND --help says more.")
        return 0 if args else 2
    known = {command[0]: command for command in COMMANDS}
    if args[0] not in known:
        print("dev.py: there is no command '%s'; there are: %s" % (args[0], ", ".join(c[0] for c in COMMANDS)), file=sys.stderr)
        return 2
    name, function, takes, line, more = known[args[0]]
    if args[1:2] in (["-h"], ["--help"]):
        print("python3 dev.py %s %s\n\n%s.\n%s" % (name, takes, line[0].upper() + line[1:], more))
        return 0
    find_python()
    try:
        return function(args[1:])
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
