"""Parts for sensorium that live outside of it; nothing here is registered anywhere but the recipe's name."""
