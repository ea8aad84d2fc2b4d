"""This project's own evidence: programs that measure kbsync, and the tests of these programs. Not in the wheel."""
