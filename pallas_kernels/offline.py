"""Compile every launch of the catalogue to machine code, without a GPU: `make kernels`.

Pallas lowers to Triton, the CUDA plugin compiles Triton to PTX, ptxas assembles it, nvdisasm
lists the instructions. What is checked is form: that the kernels compile for sm_80 and sm_90,
keep everything in registers, and that XLA wraps them without copying a table. What they compute
is tested by the interpreter. Exits with 1 where a kernel spills or fails, and with 2 where the
tools are missing.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import jax

from pallas_kernels import cuda
from pallas_kernels.catalogue import Launch, launches
from pallas_kernels.toolchain import AssemblerError, MissingToolError, Toolchain, find_toolchain

# Opcodes worth a column: widening multiplies, global loads and stores, shuffles, barriers.
NOTED = ("IMAD.WIDE", "LDG", "STG", "SHFL", "BAR")

# What XLA may allocate around a kernel: scalars and a table of pointers, never a copy of a plane.
TEMPORARY_LIMIT = 4096


@dataclass(frozen=True)
class Measurement:
    """What the compilers said about one kernel on one architecture. Sizes are bytes."""

    registers: int
    spills: int
    stack: int
    shared_memory: int
    instructions: int
    noted: tuple[int, ...]
    temporary: int

    def faults(self) -> list[str]:
        """Why this kernel is not acceptable, if it is not."""
        faults = []
        if self.spills:
            faults.append(f"spills {self.spills} bytes")
        if self.stack:
            faults.append(f"keeps {self.stack} bytes on the stack")
        if self.temporary > TEMPORARY_LIMIT:
            faults.append(f"the program around it takes {self.temporary} temporary bytes")
        return faults


def measure(launch: Launch, target: cuda.Target, tools: Toolchain) -> Measurement:
    """Compile one launch for one target.

    Raises AssemblerError for a kernel that ptxas refuses, ValueError for a program that is not
    one kernel, and the compiler's own error for one that it refuses.
    """
    kernels = cuda.kernels_of(cuda.lower(launch))
    if len(kernels) != 1:
        raise ValueError(f"{launch.kernel} lowers to {len(kernels)} kernels instead of one")
    ptx, shared_memory = cuda.compile_ptx(kernels[0], target)
    with tempfile.TemporaryDirectory() as folder:
        report, machine_code = tools.assemble(ptx, architecture_of(ptx), Path(folder))
        listing = tools.disassemble(machine_code)
    counts = opcode_counts(listing)
    memory = cuda.compile_program(launch, target).memory_analysis()
    if memory is None:
        raise ValueError("the compiler did not report the memory of the program")
    registers, spills, stack = registers_and_spills(report)
    return Measurement(
        registers=registers,
        spills=spills,
        stack=stack,
        shared_memory=shared_memory,
        instructions=sum(counts.values()),
        noted=tuple(sum(count for opcode, count in counts.items() if opcode.startswith(prefix)) for prefix in NOTED),
        temporary=memory.temp_size_in_bytes,
    )


def registers_and_spills(report: str) -> tuple[int, int, int]:
    """(registers, bytes spilled and reloaded, bytes of stack) from what `ptxas -v` prints."""
    spills = _number(r"(\d+) bytes spill stores", report) + _number(r"(\d+) bytes spill loads", report)
    return _number(r"Used (\d+) registers", report), spills, _number(r"(\d+) bytes stack frame", report)


def architecture_of(ptx: str) -> str:
    """The architecture that PTX was written for, e.g. sm_90a."""
    match = re.search(r"^\.target\s+(sm_\w+)", ptx, re.MULTILINE)
    if match is None:
        raise AssemblerError("the PTX names no target")
    return match.group(1)


def opcode_counts(listing: str) -> dict[str, int]:
    """How often each opcode occurs in nvdisasm's listing, padding left out."""
    counts: dict[str, int] = {}
    pattern = r"^\s+/\*[0-9a-f]{4,}\*/\s+(?:@!?U?P\w+\s+)?([A-Z][A-Z0-9_.]*)"
    for opcode in re.findall(pattern, listing, re.MULTILINE):
        if opcode != "NOP":
            counts[opcode] = counts.get(opcode, 0) + 1
    return counts


def main(arguments: list[str] | None = None) -> int:
    """Print the table; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m pallas_kernels.offline", description=__doc__)
    parser.add_argument("--size", type=int, default=2**20, help="length of the large tables")
    size = parser.parse_args(arguments).size
    try:
        tools = find_toolchain()
    except MissingToolError as error:
        print(error, file=sys.stderr)
        return 2
    jax.config.update("jax_platforms", "cpu")  # the plugin compiles; no device is started
    print("  ".join(f"{package} {version}" for package, version in tools.versions))
    print("table: entries of K; spills, shared and temporary: bytes; temporary: XLA's, around the "
          "kernel\n")  # fmt: skip
    print(_row("kernel", "table", "block", "arch", "registers", "spills", "shared", "instr.", *NOTED,
               "temporary"))  # fmt: skip
    faults = []
    for launch in launches(size):
        for target in cuda.TARGETS:
            faults += _report(launch, target, tools)
    print()
    for fault in faults:
        print(fault, file=sys.stderr)
    if not faults:
        print("Compiled without spills. None of these kernels has run on a GPU.")
    return 1 if faults else 0


def _report(launch: Launch, target: cuda.Target, tools: Toolchain) -> list[str]:
    table = str(launch.shapes[0][0]) + (f" x{launch.batch}" if launch.batch else "")
    name = (launch.kernel, table, launch.block, target.architecture)
    label = f"{launch.kernel}, table {table}, block {launch.block}, {target.architecture}"
    try:
        found = measure(launch, target, tools)
    except (AssemblerError, ValueError, RuntimeError, NotImplementedError) as error:
        print(_row(*name, "failed"))
        return [f"{label}: {error}"]
    print(_row(*name, found.registers, found.spills, found.shared_memory, found.instructions,
               *found.noted, found.temporary))  # fmt: skip
    return [f"{label}: {fault}" for fault in found.faults()]


def _row(kernel: object, *cells: object) -> str:
    return f"{kernel!s:19}" + "".join(f"{cell!s:>10}" for cell in cells)


def _number(pattern: str, text: str) -> int:
    match = re.search(pattern, text)
    if match is None:
        raise AssemblerError(f"ptxas did not report {pattern!r}: {text}")
    return int(match.group(1))


if __name__ == "__main__":
    sys.exit(main())
