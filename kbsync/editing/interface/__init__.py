"""What ``kbsync.editing`` offers to a program or a notebook; import it from there."""
