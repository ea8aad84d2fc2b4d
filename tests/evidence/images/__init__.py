"""What concept editing does to a small text-to-image model that was trained here: flags of made-up countries."""
