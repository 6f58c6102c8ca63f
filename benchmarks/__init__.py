"""One script per question; each prints a table and, on its last line, JSON."""
