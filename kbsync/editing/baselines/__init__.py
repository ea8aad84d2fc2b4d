"""Methods to compare MEMIT with: ROME, fine-tuning, AlphaEdit, and MEMIT in steps."""
