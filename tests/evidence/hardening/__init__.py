"""Hardening: whoever may change the source, the database or the requests tries, and what gets through is counted.

One module a part; :mod:`tests.evidence.hardening.parts` lists the parts with the figures that each owes.
"""
