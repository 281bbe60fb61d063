"""Array programs behind a seam: shapes and static constants only, nothing of transcripts.

`backend`        which programs carry out the sumchecks, chosen by name
`leaves`         integers looked up, as fractions
`fractions`      sums of fractions and a round of their sumcheck: the definition
`product`        a round of the product sumcheck: the definition
`reference`      the definitions, jitted
`pallas`         the kernels of `pallas_kernels`
`whole`          drives `reference` and `pallas`: one program per size of table
`blocked`        the same rounds over pieces of one size, in cache: for CPUs
`pieces`         drives `blocked`: products
`piece_trees`    drives `blocked`: trees of fractions
`host`           host memory that JAX reads in place
`split_weights`  what the final opening adds up
`encode`         Reed-Solomon rows for a commitment
"""
