"""What would a perturbation do: gene programs, and cells predicted after single and combined gene perturbations."""
