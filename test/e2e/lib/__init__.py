"""The end-to-end harness: an oracle of numbered lines, a simulated node, scriptable receivers, the daemon under test."""
