"""Which version is current: promote and rollback, canaries, and what follows when the gate refuses a version."""
