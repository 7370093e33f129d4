"""What a command line asks for, and whether it can be. Nothing here imports torch: a wrong one is answered before that."""
