"""MEMIT (Meng et al., ICLR 2023). ``memit.py`` is algorithm 1; the other modules are its steps."""
