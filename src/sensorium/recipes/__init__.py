"""One file per published system: wiring only."""
