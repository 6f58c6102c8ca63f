"""Where in the tissue: expression imputed over serial sections of which one or a few are measured."""
