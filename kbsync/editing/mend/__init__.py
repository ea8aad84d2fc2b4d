"""MEND: a network that was trained to turn the gradient of a fact into a change of weights (Mitchell et al., ICLR 2022,
arXiv:2110.11309)."""
