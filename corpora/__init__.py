"""Text, vocabulary and demo data for the small T5 that ptune ships: made from packages anyone can download."""
