"""What was asked for, and whether it can be. No torch: a wrong command line is answered before that is imported."""
