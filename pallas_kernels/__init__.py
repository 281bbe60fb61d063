"""GPU kernels for the proof's inner loops, written in Pallas for its Triton backend.

A leaf: arrays and static constants come in, arrays go out; nothing here knows a transcript, a
circuit or another package of this project. In the order in which data flow:

    reference       what every kernel means, in plain jnp: the definition
    field_mul       arithmetic of GF(2^61-1) and of its quadratic extension inside a kernel body
    launch          what a launch may look like: planes, blocks, compiler parameters
    partials        sums inside a block, and the sum over a launch's programs afterwards
    fold            one variable of a table bound to a challenge
    sumcheck_round  a round of the product sumcheck, fold and next sums in one pass
    logup_round     a round of the fractional-sum (LogUp-GKR) sumcheck
    catalogue       the launches that are compiled and checked ahead of time
    toolchain       the CUDA plugin, ptxas and nvdisasm, pinned
    cuda            lowers a launch for CUDA and compiles it for a GPU that is only described
    offline         compiles the catalogue to machine code on a computer without a GPU

No kernel has ever run on a GPU; `README.md` says what has been checked instead.
"""
