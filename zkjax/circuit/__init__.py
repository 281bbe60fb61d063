"""Integer program -> circuit: committed and virtual tensors, lookups, and the recipes of the witness."""
