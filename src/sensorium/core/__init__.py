"""Words everybody shares: stages, recipes, claims, fingerprints, the store. Standard library only."""
