"""The stages of a synchronisation, one module or folder each; :mod:`kbsync.stages.cycle` reads as the list of them."""
