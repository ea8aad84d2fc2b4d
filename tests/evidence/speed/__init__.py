"""``python -m tests.evidence speed``: the fast code beside a plain transcription, in one process, in alternating
order."""
