"""The key covariance C = E[k kᵀ] over ordinary text."""
