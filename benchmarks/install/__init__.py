"""Whether the built package installs in empty environments, and what each extra brings."""
