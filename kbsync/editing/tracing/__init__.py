"""Causal tracing: which states carry a fact from its subject to the answer."""
