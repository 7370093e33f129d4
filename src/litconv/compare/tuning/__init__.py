"""`best_of`: each arm at its own best value of the tuned keys, chosen on validation, compared by seeds that did not choose."""
