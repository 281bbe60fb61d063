"""The prover: commit, lookups, claims, products, opening. `prove` shows the pipeline in one function."""
