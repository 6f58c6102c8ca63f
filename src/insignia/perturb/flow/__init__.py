"""Flow matching from control cells to perturbed cells, conditioned on a set of perturbed genes."""
