"""The public statement: circuit, tables, ranges, layout, claims, keys and proof as frozen data. JAX-free."""
