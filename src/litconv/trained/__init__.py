"""A finished run as a thing one uses: `litconv.load(RUN)`, predictions on new images. Its data need not be there any more."""

from litconv.trained.loading import load
from litconv.trained.network import Trained
from litconv.trained.prediction import LabelPrediction, MaskPrediction

__all__ = ["LabelPrediction", "MaskPrediction", "Trained", "load"]
