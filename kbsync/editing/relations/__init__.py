"""How a model reads a relation out of its subject's state, as one linear map (Hernandez et al., ICLR 2024)."""
