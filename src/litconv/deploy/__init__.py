"""What arms cost where they run: their files measured here, or packed to be measured on another machine."""
