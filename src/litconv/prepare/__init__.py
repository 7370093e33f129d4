"""What comes before training: checks that need objects, the data, the width, the layout, the costs."""
