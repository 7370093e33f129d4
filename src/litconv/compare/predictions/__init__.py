"""What the arms' networks say of single test images, chosen to tell something."""
