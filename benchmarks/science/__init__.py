"""Whether attribution beats expression: markers, noise, transfer and the interferon response on real cells."""
