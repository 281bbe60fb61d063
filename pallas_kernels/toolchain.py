"""The tools that turn a lowered kernel into machine code: the CUDA plugin, ptxas and nvdisasm.

They come from `requirements-kernels.lock`, in an environment of their own: with the CUDA plugin
installed, JAX would look for a GPU in every program. The plugin has to have the version of JAX
itself, because the intermediate representation is not stable between versions.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

PLUGIN_PACKAGES = ("jax-cuda12-plugin", "jax-cuda12-pjrt")
ASSEMBLER = ("nvidia-cuda-nvcc-cu12", "bin/ptxas")
DISASSEMBLER = ("nvidia-cuda-nvdisasm", "bin/nvdisasm")

INSTALL = """\
  python3.11 -m venv build/kernels-venv
  build/kernels-venv/bin/python -m pip install --require-hashes -r requirements-kernels.lock
  build/kernels-venv/bin/python -m pallas_kernels.offline"""


class MissingToolError(Exception):
    """The environment cannot compile for CUDA; the message says which command makes one."""

    def __init__(self, problem: str):
        super().__init__(f"{problem}\nCompiling for CUDA takes an environment of its own:\n{INSTALL}")


class AssemblerError(Exception):
    """ptxas or nvdisasm refused its input; the message is what it printed."""


@dataclass(frozen=True)
class Toolchain:
    """Paths of the assembler and the disassembler, and the versions of what was found."""

    assembler: Path
    disassembler: Path
    versions: tuple[tuple[str, str], ...]

    def assemble(self, ptx: str, architecture: str, folder: Path) -> tuple[str, Path]:
        """Assemble PTX for e.g. sm_90; returns (ptxas's report, the machine code's path)."""
        source, target = folder / "kernel.ptx", folder / "kernel.cubin"
        source.write_text(ptx)
        command: list[str | Path] = [self.assembler, "-v", f"-arch={architecture}", source, "-o", target]
        return _run(command).stderr, target

    def disassemble(self, machine_code: Path) -> str:
        """The instructions of an assembled kernel, as text."""
        return _run([self.disassembler, "-c", machine_code]).stdout


def find_toolchain() -> Toolchain:
    """Locate everything in the packages of the running environment.

    Raises MissingToolError for a package that is absent, and for a CUDA plugin whose version is
    not that of JAX. No other copy of a tool is looked for: it could be of any version.
    """
    jax_version = _version("jax")
    versions = [("jax", jax_version)]
    for package in PLUGIN_PACKAGES:
        version = _version(package)
        if version != jax_version:
            raise MissingToolError(f"{package} is {version} but jax is {jax_version}.")
        versions.append((package, version))
    paths = []
    for package, suffix in (ASSEMBLER, DISASSEMBLER):
        versions.append((package, _version(package)))
        paths.append(_packaged_file(package, suffix))
    return Toolchain(paths[0], paths[1], tuple(versions))


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        raise MissingToolError(f"The package {package} is not installed.") from None


def _packaged_file(package: str, suffix: str) -> Path:
    for file in metadata.files(package) or ():
        if file.as_posix().endswith(suffix):
            path = Path(str(file.locate()))
            if path.is_file():
                return path
    raise MissingToolError(f"The package {package} is installed without {suffix}.")


def _run(command: list[str | Path]) -> subprocess.CompletedProcess[str]:
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise AssemblerError(f"{Path(command[0]).name}: {result.stderr or result.stdout}")
    return result
