"""The catalogue lowers for CUDA without a GPU, and the report of `make kernels` tells the truth."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pallas_kernels import cuda, offline, toolchain
from pallas_kernels.catalogue import launches

LAUNCHES = launches(2**16)
PTXAS = """\
ptxas info    : Function properties for _fold_kernel
    {stack} bytes stack frame, {stores} bytes spill stores, {loads} bytes spill loads
ptxas info    : Used {registers} registers, used 1 barriers
"""
LISTING = """\
        /*0000*/                   MOV R1, c[0x0][0x28] ;
        /*0010*/                   IMAD.WIDE.U32 R2, R4, R6, RZ ;
        /*0020*/              @!P0 IMAD.WIDE.U32 R2, R4, R6, R8 ;
        /*0030*/               @P1 LDG.E.64 R2, [R4.64] ;
        /*0040*/                   EXIT ;
        /*0050*/                   NOP ;
"""


@pytest.mark.parametrize("launch", LAUNCHES, ids=lambda x: f"{x.kernel}-{x.shapes[0][0]}-{x.block}-{x.batch}")
def test_lowers_for_cuda_to_one_triton_kernel(launch):
    (kernel,) = cuda.kernels_of(cuda.lower(launch))
    assert kernel.bytecode.startswith(b"ML\xefR")  # MLIR bytecode
    assert kernel.num_warps == 4
    work = {"extension_product": 1, "fold": 2, "product_round_sums": 2, "logup_round_sums": 2}
    programs = launch.shapes[0][0] // work.get(launch.kernel, 4) // launch.block
    batch = launch.batch or 1
    assert kernel.grid[0] * kernel.grid[1] * kernel.grid[2] == programs * batch


def test_every_kernel_is_in_the_catalogue():
    names = {launch.kernel for launch in LAUNCHES}
    assert names == {
        "extension_product",
        "fold",
        "product_round_sums",
        "product_round",
        "logup_round_sums",
        "logup_round",
    }


def measurement(**changes):
    fields = {
        "registers": 72,
        "spills": 0,
        "stack": 0,
        "shared_memory": 0,
        "instructions": 9,
        "noted": (0,) * len(offline.NOTED),
        "temporary": 16,
    }
    return offline.Measurement(**{**fields, **changes})


@pytest.fixture
def present_tools(monkeypatch):
    monkeypatch.setattr(offline, "find_toolchain", lambda: toolchain.Toolchain("ptxas", "nvdisasm", ()))
    monkeypatch.setattr(offline.jax.config, "update", lambda *_: None)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"spills": 8}, "spills 8 bytes"),
        ({"stack": 16}, "16 bytes on the stack"),
        ({"temporary": 2**20}, "temporary bytes"),
    ],
)
def test_a_fault_fails_the_run(present_tools, monkeypatch, capsys, changes, complaint):
    monkeypatch.setattr(offline, "measure", lambda *_: measurement(**changes))
    assert offline.main([]) == 1
    assert complaint in capsys.readouterr().err


def test_a_kernel_that_the_assembler_refuses_fails_the_run(present_tools, monkeypatch, capsys):
    def refuse(*_):
        raise toolchain.AssemblerError("ptxas: no such instruction")

    monkeypatch.setattr(offline, "measure", refuse)
    assert offline.main([]) == 1
    captured = capsys.readouterr()
    assert "failed" in captured.out
    assert "no such instruction" in captured.err


def test_without_faults_the_run_passes(present_tools, monkeypatch, capsys):
    monkeypatch.setattr(offline, "measure", lambda *_: measurement())
    assert offline.main([]) == 0
    assert "None of these kernels has run on a GPU" in capsys.readouterr().out


def test_missing_packages_are_named_with_the_command(monkeypatch, capsys):
    monkeypatch.setattr(toolchain, "PLUGIN_PACKAGES", ("jax-cuda12-plugin-that-is-absent",))
    assert offline.main([]) == 2
    message = capsys.readouterr().err
    assert "jax-cuda12-plugin-that-is-absent is not installed" in message
    assert "requirements-kernels.lock" in message


def test_a_plugin_of_another_version_is_refused(monkeypatch):
    versions = {"jax": "0.10.2", "jax-cuda12-plugin": "0.10.3"}
    monkeypatch.setattr(toolchain.metadata, "version", versions.__getitem__)
    with pytest.raises(toolchain.MissingToolError, match=r"is 0\.10\.3 but jax is 0\.10\.2"):
        toolchain.find_toolchain()


def test_reading_the_assembler(monkeypatch):
    report = PTXAS.format(stack=0, stores=4, loads=12, registers=255)
    assert offline.registers_and_spills(report) == (255, 16, 0)
    with pytest.raises(toolchain.AssemblerError, match="did not report"):
        offline.registers_and_spills("nothing of note")


def test_reading_the_listing():
    assert offline.opcode_counts(LISTING) == {"MOV": 1, "IMAD.WIDE.U32": 2, "LDG.E.64": 1, "EXIT": 1}
    assert offline.architecture_of(".version 8.8\n.target sm_90a\n") == "sm_90a"


def test_importing_the_package_loads_no_jax(root):
    code = "import sys, pallas_kernels; sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0
