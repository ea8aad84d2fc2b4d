"""One module a stage; :mod:`kbsync.stages.cycle` reads as the list of them."""
