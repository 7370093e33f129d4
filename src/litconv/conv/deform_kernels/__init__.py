"""Implementations of `litconv::deform_conv2d`: modules with `forward` and `backward` of equal signatures."""
