"""Another machine: ARM, emulated, with Debian's Python, what a reader installs, and no network."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rehearsal import last_bits
from rehearsal.elsewhere import Done

ROOT = Path(__file__).parents[1]
EMULATOR = "qemu-aarch64-static"
# A processor that servers have, and that is emulated at a fifth of the cost of the newest.
PROCESSOR = "neoverse-n1"
# Debian 13: its Python and C library are newer than those of most machines that readouts are made on.
SUITE = "trixie"
PYTHON = "3.13"
_PLATFORMS = ("manylinux_2_28_aarch64", "manylinux_2_17_aarch64", "manylinux2014_aarch64")
_SITE = "opt/equipoise"
_SECONDS = 7200.0
_PACKAGES = {"mmdebstrap": "mmdebstrap", EMULATOR: "qemu-user-static", "unshare": "util-linux"}
_ALONE = ("unshare", "--user", "--map-root-user", "--net")
_DESCRIBE = """
import json, platform
import numpy, scipy
print(json.dumps({
    "architecture": platform.machine(),
    "system": platform.freedesktop_os_release()["PRETTY_NAME"],
    "library": " ".join(platform.libc_ver()),
    "python": platform.python_version(),
    "numpy": numpy.__version__,
    "scipy": scipy.__version__,
}))
"""


def missing() -> str | None:
    """Why there can be no such machine here; None where there can."""
    if not sys.platform.startswith("linux"):
        return "the processes of another architecture are emulated on Linux"
    packages = [package for program, package in _PACKAGES.items() if shutil.which(program) is None]
    if packages:
        return f"programs are missing. On Debian and Ubuntu: apt-get install {' '.join(packages)}"
    tried = subprocess.run(  # noqa: S603 - our own program
        [*_ALONE, "true"], capture_output=True, text=True, check=False
    )
    if tried.returncode:
        return f"a process cannot have a network of its own: {tried.stderr.strip()}"
    return None


@dataclass(frozen=True, slots=True)
class Machine:
    """An emulated machine.

    Attributes:
        root: The directory that is its root; a process there sees nothing outside it.
    """

    root: Path

    def describe(self) -> dict[str, str]:
        """Its architecture, operating system and libraries, as it says itself."""
        said: dict[str, str] = _json(self.run(["-c", _DESCRIBE]))
        return said

    def verify(self, directory: Path, names: Sequence[str]) -> Done:
        """Run `equipoise verify --json` there.

        Args:
            directory: Where the files are, below the machine's root.
            names: The files.
        """
        files = [self._inside(directory / name) for name in names]
        return self.run(["-m", "equipoise_service.cli", "verify", "--json", *files])

    def last_bits(self, files: Sequence[Path]) -> dict[str, Any]:
        """How far the numbers of readouts are from those recomputed there, see `rehearsal.last_bits`.

        Args:
            files: The readouts, below the machine's root.
        """
        program = Path(last_bits.__file__).read_text(encoding="utf-8")
        said: dict[str, Any] = _json(self.run(["-c", program, *map(self._inside, files)]))
        return said

    def run(self, arguments: Sequence[str]) -> Done:
        """Run its Python, with no network, another time zone and no environment of ours.

        Args:
            arguments: What Python is called with.
        """
        return subprocess.run(  # noqa: S603 - our own programs
            [*_ALONE, "chroot", str(self.root), f"/{EMULATOR}", "/usr/bin/python3", *arguments],
            env={
                "QEMU_CPU": PROCESSOR,
                "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
                "HOME": "/tmp",  # noqa: S108 - of that machine
                "PYTHONPATH": f"/{_SITE}",
                "LC_ALL": "C",
                "TZ": "NPT-05:45",
            },
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )

    def _inside(self, path: Path) -> str:
        return str(Path("/", path.relative_to(self.root)))


def _json(done: Done) -> Any:
    if done.returncode:
        raise RuntimeError(f"Python there ended with {done.returncode}: {done.stderr.decode()[-2000:]}")
    return json.loads(done.stdout)


def build(directory: Path) -> Machine:
    """Build the machine: Debian's Python by apt, our packages and what they need by pip.

    Nothing is installed on this machine, and no privilege is needed.

    Args:
        directory: Where there is nothing yet.

    Raises:
        RuntimeError: There can be no such machine here.
        subprocess.CalledProcessError: A package cannot be had.
    """
    if (why := missing()) is not None:
        raise RuntimeError(f"No machine can be emulated: {why}")
    root, wheels, tar = directory / "root", directory / "wheels", directory / "debian.tar"
    root.mkdir(parents=True)
    packages = "base-files,python3,libstdc++6"
    _call(
        "mmdebstrap",
        "--quiet",
        "--architectures=arm64",
        "--variant=extract",
        f"--include={packages}",
        SUITE,
        tar,
    )
    _call("tar", "-C", root, "--exclude=./dev", "-xf", tar)
    # What Debian's base-files does when it is configured, which here it is not.
    for name in ("bin", "lib", "sbin"):
        if not (root / name).exists():
            (root / name).symlink_to(f"usr/{name}")
    shutil.copy(str(shutil.which(EMULATOR)), root / EMULATOR)
    pip = (sys.executable, "-m", "pip")
    for package in (ROOT / "sdk", ROOT / "stats", ROOT):
        _call(*pip, "wheel", "--quiet", "--no-deps", "--wheel-dir", wheels, package)
    platforms = [option for name in _PLATFORMS for option in ("--platform", name)]
    _call(
        *(*pip, "install", "--quiet", "--no-compile", "--only-binary=:all:", "--target", root / _SITE),
        *("--implementation", "cp", "--python-version", PYTHON, *platforms),
        *("--constraint", ROOT / "constraints.txt", *sorted(wheels.glob("*.whl"))),
    )
    return Machine(root)


def _call(*command: Any) -> None:
    subprocess.run([os.fspath(word) for word in command], check=True)  # noqa: S603 - our own programs
