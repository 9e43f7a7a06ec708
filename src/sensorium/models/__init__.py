"""Networks and the door to released weights."""
