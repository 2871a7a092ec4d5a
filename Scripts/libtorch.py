"""Finds or downloads LibTorch and links it at .libtorch/; the part of Scripts/setup that needs more than a shell.

The first that fits is taken: the folder named by GANGLION_LIBTORCH, what is linked already, the PyTorch of the active
Python, the user's cache, a download of the pinned wheels into that cache. Only libraries and headers are used: no
Python runs in what is built, so the wheels are those of one fixed Python version, whichever Python runs this file.

Exit status: 0 linked, 1 failed (one sentence on stderr), 3 a download is needed and this Python has no pip.
"""

import contextlib
import ctypes
import fcntl
import glob
import hashlib
import importlib.util
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

VERSION = "2.11.0"
SCRIPTS = Path(__file__).resolve().parent
LINKS = SCRIPTS.parent / ".libtorch"
WHEEL_PYTHON = "3.12"
NO_PIP = 3

# What the wheels of each variant take together with what is unpacked from them (1.4 and 3.7 GB stay).
DISK_GIGABYTES = {"cpu": 2.8, "cuda": 7}

# The wheels are built with the C++11 ABI of libstdc++, which shows in this symbol of c10.
CXX11_ABI_SYMBOL = b"_ZN3c106detail14torchCheckFailEPKcS2_jRKNSt7__cxx1112basic_string"

# These come with the driver, not with LibTorch.
DRIVER_LIBRARIES = {"libcuda.so.1", "libnvidia-ml.so.1"}


class SetupError(Exception):
    """One sentence for the user."""


class NoPip(Exception):
    """A download is needed and pip is neither here nor can be made."""


def say(sentence):
    print(f"setup: {sentence}", file=sys.stderr, flush=True)


class Target:
    """The machine this runs on, in the words of wheel file names."""

    def __init__(self):
        system, machine = platform.system(), platform.machine().lower()
        machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(machine, machine)
        if system == "Linux" and machine in ("x86_64", "aarch64"):
            self.check_glibc()
            self.name = f"linux-{machine}"
            self.library_suffix = "so"
            # pip takes the tags literally, so every older manylinux must be named too.
            self.wheel_tags = [f"manylinux_2_{minor}_{machine}" for minor in range(28, 4, -1)]
            self.wheel_tags += [f"manylinux{year}_{machine}" for year in ("2014", "2010", "1")]
        elif system == "Darwin" and machine == "aarch64":
            # Not tried: no machine of this kind was at hand.
            self.name = "macos-arm64"
            self.library_suffix = "dylib"
            self.wheel_tags = ["macosx_11_0_arm64"]
        else:
            raise SetupError(
                f"LibTorch {VERSION} is published for Linux on x86-64 and arm64 and for macOS on arm64, "
                f"and this is {system} on {machine}"
            )
        self.is_linux = system == "Linux"

    @staticmethod
    def check_glibc():
        name, version = platform.libc_ver()
        found = tuple(int(part) for part in re.findall(r"\d+", version)[:2])
        if name != "glibc" or found < (2, 28):
            raise SetupError(
                f"LibTorch {VERSION} needs glibc 2.28 or later, "
                f"and this system has {name or 'another C library'} {version}"
            )


class Engine:
    """A LibTorch folder that passed every check: include/ and lib/ of a PyTorch package or of a LibTorch archive."""

    def __init__(self, folder, target):
        self.folder = Path(folder).resolve()
        self.target = target
        self.require("include/ATen/ATen.h")
        self.libtorch = self.require(f"lib/libtorch_cpu.{target.library_suffix}")
        self.c10 = self.require(f"lib/libc10.{target.library_suffix}")
        self.version = self.check_version()
        self.has_cuda = False
        self.has_compiler = bool(glob.glob(f"{glob.escape(str(self.folder.parent))}/nvidia/*/lib/libnvrtc.so*"))
        if target.is_linux:
            self.check_abi()
            self.check_loads()
            cuda = self.folder / "lib/libtorch_cuda.so"
            self.has_cuda = cuda.exists() and not self.missing_libraries(cuda)

    def require(self, path):
        file = self.folder / path
        if not file.is_file():
            raise SetupError(f"{self.folder} is not a LibTorch folder: it has no {path}")
        return file

    def check_version(self):
        """Both the headers and the package must say VERSION: the C++ ABI differs from one version to the next."""
        headers = {}
        for header in ("torch/headeronly/version.h", "torch/csrc/api/include/torch/version.h"):
            with contextlib.suppress(FileNotFoundError):
                text = (self.folder / "include" / header).read_text()
                headers.update(re.findall(r"#define TORCH_VERSION_(MAJOR|MINOR|PATCH) (\d+)", text))
        version = ".".join(headers.get(part, "?") for part in ("MAJOR", "MINOR", "PATCH"))
        self.expect_version(version, "headers")
        package = package_version(self.folder)
        if package is not None:
            self.expect_version(package, "libraries")
        return package or version

    def expect_version(self, found, what):
        if found.partition("+")[0] != VERSION:
            raise SetupError(
                f"the LibTorch {what} in {self.folder} are version {found}, and exactly {VERSION} is needed"
            )

    def check_abi(self):
        if CXX11_ABI_SYMBOL not in self.c10.read_bytes():
            raise SetupError(
                f"the LibTorch in {self.folder} was built with the old C++ ABI of libstdc++ "
                "(_GLIBCXX_USE_CXX11_ABI=0), and the new one (=1) is needed"
            )

    def check_loads(self):
        missing = self.missing_libraries(self.libtorch)
        if missing:
            raise SetupError(f"{self.libtorch} cannot be loaded: {', '.join(missing)} not found")

    def missing_libraries(self, library):
        # The built programs must run without LD_LIBRARY_PATH, so it does not count here either.
        environment = {key: value for key, value in os.environ.items() if key != "LD_LIBRARY_PATH"}
        result = subprocess.run(["ldd", str(library)], env=environment, capture_output=True, text=True)
        if result.returncode != 0:
            raise SetupError(f"{library} is no shared library for {self.target.name}")
        missing = re.findall(r"^\s*(\S+) => not found", result.stdout, re.MULTILINE)
        return sorted(set(missing) - DRIVER_LIBRARIES)

    def __str__(self):
        use = "CPU and CUDA" if self.has_cuda else "CPU"
        # The tests compile the CUDA kernels where they can, GPU or not.
        compiler = ", without NVRTC" if self.target.is_linux and not self.has_compiler else ""
        return f"LibTorch {self.version} for {use}{compiler} in {self.folder}"


def package_version(folder):
    """The version, with its local part, that a PyTorch package or a LibTorch archive states, if it does."""
    with contextlib.suppress(FileNotFoundError):
        found = re.search(r"^__version__ = '([^']+)'", (folder / "version.py").read_text(), re.MULTILINE)
        return found.group(1) if found else "unknown"
    with contextlib.suppress(FileNotFoundError):
        return (folder / "build-version").read_text().strip()
    return None


def wants_cuda(target):
    choice = os.environ.get("GANGLION_CUDA", "")
    if choice not in ("", "0", "1"):
        raise SetupError(
            "GANGLION_CUDA must be 0 (CPU only), 1 (with CUDA) or unset (with CUDA if there is a GPU), "
            f"not {choice!r}"
        )
    if not target.is_linux:
        if choice == "1":
            raise SetupError("GANGLION_CUDA=1 needs Linux: there is no CUDA on macOS")
        return False
    return choice == "1" or (choice == "" and has_gpu())


def has_gpu():
    if glob.glob("/dev/nvidia[0-9]*"):
        return True
    with contextlib.suppress(OSError):
        ctypes.CDLL("libcuda.so.1")
        return True
    return False


def named_engine(target):
    """The folder the user names: anything wrong with it is an error, never a reason to take another."""
    name = os.environ.get("GANGLION_LIBTORCH", "")
    if not name:
        return None
    folder = Path(name).expanduser()
    if not folder.is_dir():
        raise SetupError(f"GANGLION_LIBTORCH names {folder}, which is no folder: correct it or unset it")
    if (folder / "torch/include/ATen/ATen.h").is_file():
        folder = folder / "torch"
    try:
        engine = Engine(folder, target)
    except SetupError as error:
        raise SetupError(f"{error}: unset GANGLION_LIBTORCH to have the right one downloaded") from error
    if os.environ.get("GANGLION_CUDA") == "1" and not engine.has_cuda:
        raise SetupError(f"GANGLION_CUDA is 1 and {engine.folder} cannot use CUDA: unset one of the two variables")
    return engine


def linked_engine(target, cuda):
    """What an earlier run linked: kept while it is whole, so that a build does not change its engine by itself.

    One of the cache that has no NVRTC is of an older list of wheels.
    """
    if not (LINKS / "torch").is_dir():
        return None
    with contextlib.suppress(SetupError):
        engine = Engine(LINKS / "torch", target)
        is_old = target.is_linux and not engine.has_compiler and user_cache() in engine.folder.parents
        if (engine.has_cuda or not cuda) and not is_old:
            return engine
    return None


def python_engine(target, cuda):
    """The PyTorch of the active Python, found without importing it."""
    spec = importlib.util.find_spec("torch")
    if spec is None or not spec.submodule_search_locations:
        return None
    folder = Path(next(iter(spec.submodule_search_locations)))
    try:
        engine = Engine(folder, target)
    except SetupError as error:
        say(f"passing over the PyTorch of the active Python: {error}")
        return None
    if cuda and not engine.has_cuda:
        say(f"passing over the PyTorch of the active Python: {engine.folder} cannot use CUDA")
        return None
    return engine


def cached_engine(target, variant):
    """The pinned wheels in the user's cache, downloaded when they are not there yet."""
    pins = SCRIPTS / f"libtorch-{variant}.txt"
    digest = hashlib.sha256(pins.read_bytes()).hexdigest()[:8]
    cache = user_cache()
    # The digest keeps apart what two checkouts with different pins need.
    folder = cache / f"libtorch-{VERSION}-{variant}-{target.name}-{digest}"
    with contextlib.suppress(SetupError):
        return Engine(folder / "torch", target)
    pip = pip_command()
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with exclusive(cache / f"{folder.name}.lock"):
            with contextlib.suppress(SetupError):
                return Engine(folder / "torch", target)
            for leftover in cache.glob(f"{folder.name}.partial-*"):
                shutil.rmtree(leftover, ignore_errors=True)
            check_space(cache, variant)
            with tempfile.TemporaryDirectory(prefix=f"{folder.name}.partial-", dir=cache) as partial:
                download(pip, pins, target, variant, Path(partial))
                unpacked = Path(partial) / "unpacked"
                unpack(Path(partial) / "wheels", unpacked)
                Engine(unpacked / "torch", target)
                if folder.exists():
                    folder.rename(Path(partial) / "damaged")
                unpacked.rename(folder)
    except OSError as error:
        raise SetupError(f"cannot write the LibTorch cache {cache}: {error.strerror or error}") from error
    return Engine(folder / "torch", target)


def user_cache():
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if os.path.isabs(base) else Path.home() / ".cache") / "ganglion"


@contextlib.contextmanager
def exclusive(path):
    """Holds a lock on a file; the system lets go of it when the process ends, however it ends."""
    with open(path, "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another set-up that is downloading LibTorch")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def check_space(cache, variant):
    free = shutil.disk_usage(cache).free / 1e9
    need = DISK_GIGABYTES[variant]
    if free < need:
        raise SetupError(
            f"{cache} has {free:.1f} GB free and LibTorch needs {need} GB: free some, or point XDG_CACHE_HOME elsewhere"
        )


def pip_command():
    """How to call pip here; a Python without one but with ensurepip is asked again inside a virtual environment."""
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip"]
    if importlib.util.find_spec("ensurepip") is not None:
        return None
    raise NoPip


def download(pip, pins, target, variant, folder):
    with_cuda = "with CUDA" if variant == "cuda" else "for CPU"
    say(f"downloading LibTorch {VERSION} {with_cuda} into {folder.parent} (once for this user)")
    if pip is None:
        environment = folder / "venv"
        made = subprocess.run([sys.executable, "-m", "venv", str(environment)], capture_output=True)
        if made.returncode != 0:
            raise NoPip
        pip = [str(environment / "bin/python"), "-m", "pip"]
    command = pip + ["download", "--no-input", "--disable-pip-version-check", "--no-cache-dir"]
    command += ["--no-deps", "--require-hashes", "--only-binary=:all:", "--requirement", str(pins)]
    command += ["--implementation", "cp", "--python-version", WHEEL_PYTHON]
    for abi in ("cp" + WHEEL_PYTHON.replace(".", ""), "abi3", "none"):
        command += ["--abi", abi]
    for tag in target.wheel_tags:
        command += ["--platform", tag]
    command += ["--dest", str(folder / "wheels")]
    if not sys.stderr.isatty():
        command += ["--quiet"]
    # A user who insists on virtual environments means installs; this only fetches files.
    environment = dict(os.environ, PIP_REQUIRE_VIRTUALENV="0")
    result = subprocess.run(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=sys.stderr, stderr=subprocess.PIPE, text=True
    )
    if result.returncode != 0:
        raise SetupError(
            f"LibTorch could not be downloaded ({failure(result.stderr)}): check the network and pip's "
            "configuration, or set GANGLION_LIBTORCH to a LibTorch folder"
        )


def failure(output):
    """The cause of pip's failure: of a broken connection the last warning, as its errors say only 'no version'."""
    broken = re.findall(r"connection broken by (.*?): /", output)
    errors = re.findall(r"^ERROR: (.*)$", output, re.MULTILINE)
    return broken[-1].strip("'\"") if broken else errors[0] if errors else "pip did not say why"


def unpack(wheels, folder):
    """Takes libraries, headers and licences out of the wheels, and removes each wheel once it is unpacked."""
    wanted = re.compile(r"torch/(include|lib)/|torch/version\.py$|nvidia/|[^/]+\.dist-info/(licenses/|LICENSE|License)")
    # NVRTC comes twice; the other one is for systems with an older C library.
    unwanted = re.compile(r"nvidia/.*/libnvrtc(-builtins)?\.alt\.so")
    for wheel in sorted(wheels.glob("*.whl")):
        with zipfile.ZipFile(wheel) as archive:
            for member in archive.infolist():
                if member.is_dir() or not wanted.match(member.filename) or unwanted.match(member.filename):
                    continue
                path = Path(archive.extract(member, folder))
                executable = (member.external_attr >> 16) & 0o111
                path.chmod(0o755 if executable else 0o644)
        wheel.unlink()


def link(engine):
    """Points .libtorch/ at the engine, and the cache's links, with which checkouts made by SwiftPM are built."""
    fill(LINKS, engine)
    # Only packages that depend on this one need these, so a cache that cannot be written is no failure.
    with contextlib.suppress(OSError):
        links = user_cache() / f"libtorch-{VERSION}"
        fill(links, engine)
        write_pkg_config(links)


def fill(links, engine):
    links.mkdir(parents=True, exist_ok=True)
    nvidia = engine.folder.parent / "nvidia"
    replace_link(links / "torch", engine.folder)
    replace_link(links / "nvidia", nvidia if nvidia.is_dir() else None)


def write_pkg_config(links):
    """Describes the engine to pkg-config, for builds without the flags that SwiftPM calls unsafe."""
    include = links.resolve() / "torch/include"
    text = (
        f"Name: ganglion-libtorch\nDescription: LibTorch as Ganglion builds with it\nVersion: {VERSION}\n"
        f'Cflags: -I"{include}" -I"{include}/torch/csrc/api/include"\n'
        f'Libs: -L"{links.resolve()}/torch/lib" -ltorch_cpu -lc10\n')
    file = links / "pkgconfig/ganglion-libtorch.pc"
    if file.exists() and file.read_text() == text:
        return
    file.parent.mkdir(exist_ok=True)
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    temporary.write_text(text)
    os.replace(temporary, file)


def replace_link(path, destination):
    if path.exists() and not path.is_symlink():
        raise SetupError(f"{path} is in the way: move it elsewhere and name it in GANGLION_LIBTORCH")
    if destination is None:
        path.unlink(missing_ok=True)
    elif not path.is_symlink() or path.resolve() != destination:
        # Made under another name and renamed, so that a build never finds it missing.
        temporary = path.with_name(f"{path.name}.{os.getpid()}")
        temporary.symlink_to(destination)
        temporary.replace(path)


def check(target):
    """Verifies what is linked, changing nothing."""
    if not (LINKS / "torch").is_dir():
        raise SetupError(f"{LINKS}/torch leads to no LibTorch: run Scripts/setup")
    return Engine(LINKS / "torch", target)


def choose(target):
    engine = named_engine(target)
    if engine is None:
        cuda = wants_cuda(target)
        engine = linked_engine(target, cuda) or python_engine(target, cuda)
        engine = engine or cached_engine(target, "cuda" if cuda else "cpu")
    link(engine)
    return engine


def main(arguments):
    # Ends by unwinding, so that a download under way leaves nothing behind.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        target = Target()
        print(check(target) if "--check" in arguments else choose(target))
    except NoPip:
        return NO_PIP
    except SetupError as error:
        say(error)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
