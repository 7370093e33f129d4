"""litconv: which convolution should my model use, and what does it cost?"""

__version__ = "0.1.0"
