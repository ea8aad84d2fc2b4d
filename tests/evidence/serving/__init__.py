"""What a version keeps in every form in which it can be served."""
