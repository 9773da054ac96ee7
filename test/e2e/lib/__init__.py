"""The end-to-end harness: an oracle of numbered lines, a simulated node, scripted receivers, and the daemon under test."""
