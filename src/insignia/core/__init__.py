"""What every layer may use: errors, key names, registries, settings, progress, files and optional packages."""
