"""What the operating system refuses is told with what was kept, and what to do about it."""

from __future__ import annotations

import errno
import os

import pytest
from safetensors import SafetensorError

from kbsync.checkpoints.os_errors import explained
from kbsync.domain.errors import StoreError


def error_of(error: Exception, **named: str) -> StoreError:
    with pytest.raises(StoreError) as caught, explained("writing the file", kept="All is as it was.", **named):
        raise error
    return caught.value


@pytest.mark.parametrize(
    ("number", "next_step"),
    [
        (errno.ENOSPC, "Make room on the disk"),
        (errno.EDQUOT, "raise the quota"),
        (errno.EACCES, "Give the user that runs kbsync the right"),
        (errno.EROFS, "Give the user that runs kbsync the right"),
        (errno.ENOTDIR, "Something else stands where kbsync keeps its files"),
        (errno.ENOTEMPTY, "Something else stands where kbsync keeps its files"),
        (errno.EIO, "Check that the disk is sound"),
        (errno.ENOENT, "Check that the disk is sound"),
    ],
)
def test_each_refusal_has_its_remedy(number: int, next_step: str) -> None:
    error = error_of(OSError(number, os.strerror(number)))
    assert error.what == f"Writing the file failed: {os.strerror(number)}."
    assert error.kept == "All is as it was."
    assert next_step in error.next_step


def test_a_file_that_should_be_there_has_a_remedy_of_its_own() -> None:
    missing = FileNotFoundError(errno.ENOENT, "No such file or directory")
    assert error_of(missing, if_missing="Restore it.").next_step == "Restore it."
    assert error_of(PermissionError(errno.EACCES, "no"), if_missing="Restore it.").next_step != "Restore it."


def test_an_error_without_a_number_is_told_in_its_own_words() -> None:
    assert error_of(OSError("webdav://x: timed out")).what == "Writing the file failed: webdav://x: timed out."
    assert error_of(SafetensorError("I/O error")).what == "Writing the file failed: I/O error."


def test_other_errors_pass() -> None:
    with pytest.raises(KeyError), explained("writing the file", kept="All is as it was."):
        raise KeyError
