"""Lower a launch for CUDA, and compile what comes out, on a computer without a GPU.

`lower` needs JAX alone. `kernels_of` takes the Triton modules out of the lowered program,
`compile_ptx` hands one to the compiler inside the CUDA plugin, and `compile_program` compiles the
whole XLA program for a GPU that is only described, which shows the memory it would take.
"""

from __future__ import annotations

from dataclasses import dataclass

import jax
from jax.experimental import topologies
from jax.extend.mlir import ir

from pallas_kernels.catalogue import Launch

TRITON_CALL = "__gpu$xla.gpu.triton"


@dataclass(frozen=True)
class TritonKernel:
    """A kernel as it leaves Pallas: Triton bytecode and how it is to be launched."""

    bytecode: bytes
    num_warps: int
    num_stages: int
    grid: tuple[int, int, int]


@dataclass(frozen=True)
class Target:
    """A GPU generation, by the facts that XLA's compiler asks for."""

    capability: str
    description: str

    @property
    def architecture(self) -> str:
        return "sm_" + self.capability.replace(".", "")


def lower(launch: Launch) -> jax.stages.Lowered:
    """Lower for CUDA; scopes x64 itself."""
    with jax.enable_x64(True):
        traced = jax.jit(launch.callable()).trace(*launch.arguments())
        return traced.lower(lowering_platforms=("cuda",))


def kernels_of(lowered: jax.stages.Lowered) -> list[TritonKernel]:
    """The Triton kernels of a lowered program, in program order."""
    kernels = []

    def visit(operation) -> ir.WalkResult:
        if operation.name == "stablehlo.custom_call":
            target = ir.StringAttr(operation.attributes["call_target_name"]).value
            if target == TRITON_CALL:
                kernels.append(_read_kernel(operation.attributes["mhlo.backend_config"]))
        return ir.WalkResult.ADVANCE

    module = lowered.compiler_ir("stablehlo")
    if module is None:
        raise ValueError("the lowered program has no StableHLO form")
    module.operation.walk(visit)
    return kernels


def compile_ptx(kernel: TritonKernel, target: Target) -> tuple[str, int]:
    """(PTX, bytes of shared memory) of a kernel. Needs the CUDA plugin."""
    # The one private import: nothing public compiles Triton without a device.
    from jax._src.lib import triton

    jax.devices()  # the plugin registers its compiler when the backends start
    result = triton.compile(
        "cuda",
        kernel.bytecode,
        target.capability,
        num_warps=kernel.num_warps,
        num_ctas=1,
        num_stages=kernel.num_stages,
    )
    return result.asm, result.smem_bytes


def compile_program(launch: Launch, target: Target) -> jax.stages.Compiled:
    """The whole XLA program of a launch, compiled for `target`. Needs the CUDA plugin."""
    topology = topologies.get_topology_desc(platform="cuda", target_config=target.description, topology="1x1x1")
    sharding = jax.sharding.SingleDeviceSharding(topology.devices[0])
    with jax.enable_x64(True):
        traced = jax.jit(launch.callable()).trace(*launch.arguments(sharding))
        return traced.lower().compile()


def _read_kernel(config) -> TritonKernel:
    grid = tuple(config[f"grid_{axis}"].value for axis in "xyz")
    return TritonKernel(
        bytecode=config["ir"].value_bytes,
        num_warps=config["num_warps"].value,
        num_stages=config["num_stages"].value,
        grid=(grid[0], grid[1], grid[2]),
    )


def _describe(capability: str, core_count: int, shared_memory: int, memory: int) -> Target:
    """A target from its capability, its cores, and bytes of shared and of device memory."""
    major, minor = capability.split(".")
    return Target(
        capability,
        f"""
        platform_name: "CUDA"
        device_description_str: "compute capability {capability}"
        dnn_version_info {{ major: 9 minor: 10 patch: 0 }}
        gpu_device_info {{
          cuda_compute_capability {{ major: {major} minor: {minor} }}
          core_count: {core_count}
          threads_per_warp: 32
          threads_per_block_limit: 1024
          threads_per_core_limit: 2048
          registers_per_core_limit: 65536
          registers_per_block_limit: 65536
          block_dim_limit_x: 2147483647
          block_dim_limit_y: 65535
          block_dim_limit_z: 65535
          shared_memory_per_block: 49152
          shared_memory_per_block_optin: {shared_memory}
          shared_memory_per_core: {shared_memory + 1024}
          device_memory_size: {memory}
          driver_version: "12.9.0"
          runtime_version: "12.9.0"
          compile_time_toolkit_version: "12.9.0"
          dnn_version: "9.10.0"
        }}
        """,
    )


# A100 and H100; limits from NVIDIA's programming guide, table "Technical Specifications".
TARGETS = (
    _describe("8.0", core_count=108, shared_memory=163 * 1024, memory=40 * 2**30),
    _describe("9.0", core_count=132, shared_memory=227 * 1024, memory=80 * 2**30),
)
